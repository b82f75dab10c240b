package server

import (
	_ "embed"
	"net/http"
)

// document describes the API. It is written by hand; tests compare it with the routes,
// the structs and real answers.
//
//go:embed openapi.json
var document []byte

func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(document)
}
