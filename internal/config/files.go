package config

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"

	"github.com/caarlos0/env/v11"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// credentials names the directory in which systemd puts the credentials of a unit
// (LoadCredential=STRIPE_SECRET_KEY:/etc/…): one with the name of a setting is its file.
const credentials = "CREDENTIALS_DIRECTORY"

// secretFile is the file that a setting names.
type secretFile struct {
	Variable
	file *secret.File
}

// secretFiles reads the secrets that are in files, and puts their values beside the others.
// settings says what Inspect finds wrong with other values.
func secretFiles(from Sources, file, values map[string]string, wrong func(values map[string]string) Problems, problems *Problems) (all []secretFile) {
	for _, v := range variables {
		if !v.Secret {
			continue
		}
		path, by := pathOf(v, from, file, values)
		switch {
		case path == "":
			continue
		case values[v.Name] != "":
			problems.addFile(v, by, fmt.Sprintf("%s is set too, and they may differ: take one of the two out", v.Name))
			continue
		}
		f, err := secret.Follow(v.Name, path, func(value string) string {
			next := maps.Clone(values)
			for _, other := range all {
				next[other.Name] = other.file.Last()
			}
			next[v.Name] = value
			return cmp.Or(moved(v.Name, values[v.Name], value), wrong(next).ofSecret(v.Name))
		})
		if err != nil {
			problems.addFile(v, by, err.Error())
			continue
		}
		values[v.Name] = f.Last()
		all = append(all, secretFile{v, f})
	}
	return all
}

// pathOf is the file of a secret, and the setting that names it; "": there is none. A
// relative path in .env counts from the folder of that file.
func pathOf(v Variable, from Sources, file, values map[string]string) (path, by string) {
	environ := env.ToMap(from.Environ)
	if path = values[v.File()]; path != "" {
		inDotEnv := from.Flags[v.File()] == "" && strings.TrimSpace(environ[v.File()]) == "" && file[v.File()] != ""
		if inDotEnv && !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(from.DotEnv), path)
		}
		return path, v.File()
	}
	directory := strings.TrimSpace(environ[credentials])
	if directory == "" {
		return "", ""
	}
	path = filepath.Join(directory, v.Name)
	if _, err := os.Stat(path); err != nil {
		return "", ""
	}
	return path, credentials
}

// moved refuses a database other than the one that is open: only user and password of a
// database can change while it is open.
func moved(name, before, now string) string {
	if name == "DATABASE_URL" && placeOf(before) != placeOf(now) {
		return "names another database than the one that is in use: restart the program to use that"
	}
	return ""
}

// placeOf is a database URL without user and password.
func placeOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "sqlite" {
		return raw
	}
	query := u.Query()
	query.Del("user")
	query.Del("password")
	u.User, u.RawQuery = nil, query.Encode()
	if u.Scheme == "postgresql" {
		u.Scheme = "postgres"
	}
	return u.String()
}

// follow makes the secrets of a configuration those of the files.
func follow(c *Config, files []secretFile) {
	fields := reflect.ValueOf(c).Elem()
	for _, f := range files {
		c.Files = append(c.Files, f.file)
		switch field := fields.FieldByName(f.field).Addr().Interface().(type) {
		case *secret.Text:
			if !strings.HasPrefix(f.file.Last(), "sqlite:") { // a path has no password to rotate
				*field = secret.In(f.file)
			}
		case *Secrets:
			*field = Secrets{secret.In(f.file)}
		}
	}
}

// addFile records a problem with the file of a secret.
func (p *Problems) addFile(v Variable, by, wrong string) {
	one := Problem{Name: by, Wrong: wrong, Meaning: v.FileUsage(), Example: v.File() + "=" + v.FileExample(), about: v.Name}
	if by == credentials {
		one.Meaning, one.Example = "the credentials that systemd loads for this unit; one is called "+v.Name, "LoadCredential="+v.Name+":/etc/stripe-enhance/"+strings.ToLower(v.Name)
	}
	*p = append(*p, one)
}

// ofSecret is what is wrong with a new value of a secret, as a clause; "": nothing. A new
// key for Stripe may be wrong only beside the simulated clock, and a new key of the admin
// API only because support has the same one.
func (p Problems) ofSecret(name string) string {
	for _, one := range p {
		switch v, _ := known(one.Name); {
		case one.Name == name:
			return one.Wrong
		case v.Secret, one.Name == "SIMULATED_CLOCK":
			return "does not go with " + one.Name + ", which " + one.Wrong
		}
	}
	return ""
}

// inFiles adds the file to each problem with a value that was read from one.
func (p Problems) inFiles(files []secretFile) {
	for i := range p {
		for _, f := range files {
			if p[i].Name == f.Name {
				p[i].Wrong += " (it was read from " + f.file.Path() + ")"
			}
		}
	}
}

// changeable returns a warning for each file of a secret that other users may replace.
func changeable(files []secretFile) (warnings []string) {
	if runtime.GOOS == "windows" { // it has no such bits
		return nil
	}
	for _, f := range files {
		info, err := os.Stat(f.file.Path())
		if err == nil && info.Mode().Perm()&0o002 != 0 && reachable(f.file.Path()) {
			warnings = append(warnings, f.file.Path()+", which has "+f.Name+", can be changed by every user of this machine: chmod o-w "+f.file.Path())
		}
	}
	return warnings
}

// reachable reports whether other users may open the files of a folder, as far as the rights
// of the folders above it say.
func reachable(path string) bool {
	path, err := filepath.Abs(path)
	if err != nil {
		return true
	}
	for folder := filepath.Dir(path); ; folder = filepath.Dir(folder) {
		if info, err := os.Stat(folder); err == nil && info.Mode().Perm()&fs.FileMode(0o001) == 0 {
			return false
		}
		if folder == filepath.Dir(folder) {
			return true
		}
	}
}
