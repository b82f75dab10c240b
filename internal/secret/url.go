package secret

import (
	"fmt"
	"net/url"
	"strings"
)

// URLProblem reports whether a part of a URL's password would be taken for something else:
// a host, a port, a path, a parameter. Such a part would show in errors of the library that
// connects ("lookup ss@127.0.0.1"), because the library does not know that it is secret.
// So a URL is refused before it is used if its password may be cut, with a sentence that
// names the character and nothing else of the password.
//
// It is for URLs like postgres:// and https://, which have an @ after the password and
// nowhere else. "": there is no problem, or the text is no URL.
func URLProblem(raw string) string {
	_, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return ""
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	switch at := strings.LastIndexByte(rest, '@'); {
	case strings.Count(rest, "@") > 1:
		return written('@')
	case at > len(authority): // what ended the authority stands before the @
		return written(rest[len(authority)])
	}
	userinfo, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		userinfo, hosts = authority[:i], authority[i+1:]
	}
	if p := badCharacter(userinfo, "!$&'()*+,;=:-._~%"); p != "" {
		return p
	}
	if p := badCharacter(rest, "!$&'()*+,;=:-._~%@/?[]"); p != "" {
		return p
	}
	if strings.ContainsRune(rest, '#') {
		return written('#')
	}
	for host := range strings.SplitSeq(hosts, ",") { // PostgreSQL may have several
		if badPort(host) {
			return "the port after the : of the host is not a number: is the host missing after the password, or is a / in the password not written as %2F?"
		}
	}
	return badQuery(rest)
}

// written is the sentence with the right spelling of a character.
func written(c byte) string {
	name := string(rune(c))
	switch {
	case c == ' ':
		name = "a space"
	case c < ' ' || c >= 0x7f:
		return "the password contains a character that is not printable ASCII: write each of its bytes as %XX"
	}
	return fmt.Sprintf("the password contains %s: write %%%02X", name, c)
}

// badCharacter looks for characters that a URL may have only as %XX.
func badCharacter(text, allowed string) string {
	for i := range len(text) {
		c := text[i]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case c == '%' && (i+2 >= len(text) || !isHex(text[i+1]) || !isHex(text[i+2])):
			return written('%')
		case c == '#': // reported later, if there is no better reason
		case strings.IndexByte(allowed, c) < 0:
			return written(c)
		}
	}
	return ""
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func badPort(host string) bool {
	i := strings.LastIndexByte(host, ':')
	if i < strings.LastIndexByte(host, ']') {
		return false
	}
	return i >= 0 && strings.Trim(host[i+1:], "0123456789") != ""
}

// parameters are the names that a PostgreSQL URL may have beside a password. Any other
// name may be a part of a password with an & in it.
const parameters = " host port dbname database user password passfile connect_timeout sslmode sslkey sslcert sslrootcert sslpassword sslsni" +
	" sslnegotiation krbspn krbsrvname target_session_attrs service servicefile min_read_buffer_size application_name options search_path" +
	" statement_timeout timezone channel_binding default_query_exec_mode statement_cache_capacity description_cache_capacity" +
	" min_protocol_version max_protocol_version pool_max_conns pool_min_conns pool_min_idle_conns pool_max_conn_lifetime" +
	" pool_max_conn_lifetime_jitter pool_max_conn_idle_time pool_health_check_period synchronous_commit "

// badQuery checks passwords in parameters.
func badQuery(rest string) string {
	_, query, _ := strings.Cut(rest, "?")
	if !strings.Contains(query, "password=") {
		return ""
	}
	if strings.ContainsRune(query, ';') {
		return written(';')
	}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, hasValue := strings.Cut(pair, "=")
		if !hasValue || !strings.Contains(parameters, " "+name+" ") {
			return written('&')
		}
		if strings.ContainsAny(value, "?") {
			return written('?')
		}
	}
	return ""
}

// Passwords returns the secret values of a URL, in every form in which an error may quote
// them. The URL must have no problem.
func Passwords(raw string) []string {
	u, err := url.Parse(raw)
	if err != nil {
		return []string{raw}
	}
	plain := []string{u.Query().Get("password"), u.Query().Get("sslpassword")}
	if password, ok := u.User.Password(); ok {
		plain = append(plain, password)
	}
	var all []string
	for _, p := range plain {
		if p != "" {
			all = append(all, p, url.QueryEscape(p), url.PathEscape(p), fmt.Sprintf("%q", p), strings.Trim(fmt.Sprintf("%q", p), `"`))
		}
	}
	if _, encoded, ok := strings.Cut(u.User.String(), ":"); ok && encoded != "" {
		all = append(all, encoded)
	}
	if userinfo, _, ok := strings.Cut(raw, "@"); ok { // as it was written
		if _, written, ok := strings.Cut(strings.TrimPrefix(userinfo, u.Scheme+"://"), ":"); ok && written != "" {
			all = append(all, written)
		}
	}
	return append(all, raw)
}
