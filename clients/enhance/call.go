package enhance

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// call is one endpoint with its ids filled in.
type call struct {
	method string
	route  string // "/orgs/{org}/plans": for metrics, never grows with customers
	path   string // the route with the ids
	query  url.Values
	// object is the panel's word for the object of a 404: "org" or "subscription".
	// Empty: our own organisation. If that is missing, the configuration is wrong; it
	// is not a fact about a customer.
	object string // see the constants at the routes
	// create marks a write that makes a second object if it is done twice.
	create bool
	// secrets are removed from the panel's texts, besides the token.
	secrets []string
}

// at builds a call from a route and the ids for its placeholders, in order. The ids
// were checked before, by Client.checkIDs.
func at(method, route string, ids ...string) call {
	path := route
	for _, id := range ids {
		open := strings.IndexByte(path, '{')
		length := strings.IndexByte(path[open:], '}')
		path = path[:open] + url.PathEscape(id) + path[open+length+1:]
	}
	return call{method: method, route: route, path: path}
}

func get(route string, ids ...string) call { return at(http.MethodGet, route, ids...) }

// org is the customer org that the call is about. It is "" for our own, because a
// refusal there is one of the credential.
func (c call) org(own string) string {
	part := strings.Split(c.path, "/") // "", "orgs", org, and perhaps "customers", customer
	switch {
	case len(part) > 4 && part[3] == "customers":
		return part[4]
	case len(part) > 2 && part[1] == "orgs" && part[2] != url.PathEscape(own):
		return part[2]
	}
	return ""
}

// about names the object that a 404 would be about.
func (c call) about(object string) call {
	c.object = object
	return c
}

// creating marks the call as one that must not happen twice.
func (c call) creating() call {
	c.create = true
	return c
}

// with adds query parameters as name, value pairs.
func (c call) with(pairs ...string) call {
	query := url.Values{}
	maps.Copy(query, c.query)
	for i := 0; i+1 < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	c.query = query
	return c
}

// url is the call's address below base.
func (c call) url(base string) string {
	if len(c.query) == 0 {
		return base + c.path
	}
	return base + c.path + "?" + c.query.Encode()
}
