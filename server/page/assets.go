package page

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed assets/*.css assets/*.js assets/*.svg assets/pico/*.css assets/pico/LICENSE.md
var assetFiles embed.FS

const assetPath = "/ui/assets/"

// asset is an embedded file, ready to be sent.
type asset struct {
	kind         string
	plain, small []byte // small: compressed
}

// assets are the embedded files by the name in their address. It has a digest of the content,
// so that browsers may keep a file for good and see a new one without asking.
// Compressing them takes some milliseconds, which a command without the page does not need.
var assets = sync.OnceValue(readAssets)

// assetSet is assets, and the names that lead from the name of a file to that in the address.
type assetSet struct {
	byName map[string]asset
	names  map[string]string
}

func readAssets() assetSet {
	byName, names := map[string]asset{}, map[string]string{}
	for _, folder := range []string{"assets", "assets/pico"} {
		files, err := assetFiles.ReadDir(folder)
		if err != nil {
			panic(err) // they are embedded
		}
		for _, f := range files {
			if f.IsDir() {
				continue
			}
			content, err := assetFiles.ReadFile(folder + "/" + f.Name())
			if err != nil {
				panic(err)
			}
			digest := sha256.Sum256(content)
			kind := path.Ext(f.Name())
			name := strings.TrimSuffix(f.Name(), kind) + "." + hex.EncodeToString(digest[:6]) + kind
			names[f.Name()] = name
			byName[name] = asset{kind: mime.TypeByExtension(kind), plain: content, small: compressed(content)}
		}
	}
	return assetSet{byName, names}
}

func compressed(content []byte) []byte {
	var small bytes.Buffer
	w, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
	if err != nil {
		panic(err) // there is that level
	}
	_, _ = w.Write(content) // a buffer takes everything
	_ = w.Close()
	return small.Bytes()
}

var errNoAsset = errors.New("there is no such asset")

func assetAddress(name string) (string, error) {
	n, ok := assets().names[name]
	if !ok {
		return "", errNoAsset
	}
	return assetPath + n, nil
}

// serveAsset answers an embedded file. They are the same for everyone, so they need no
// session.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets().byName[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	h.Set("Content-Type", a.kind)
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.small
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // an error means that the client has gone
}
