package app

import (
	"errors"
	"net"
)

// UnknownHost is the name in an error that no resolver knows; "" in any other error.
func UnknownHost(err error) string {
	var name *net.DNSError
	if errors.As(err, &name) && name.IsNotFound {
		return name.Name
	}
	return ""
}
