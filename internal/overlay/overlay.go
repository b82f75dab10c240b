package overlay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	choiceEnv  = "OVERLAY_CHOICE"
	choiceFile = "overlay.choice"
)

// Choice is the source of a function that returns the choice of a [Run], "" if there is
// none. It needs the imports os and path/filepath.
const Choice = `
func overlayChoice() string {
	if text, ok := os.LookupEnv("` + choiceEnv + `"); ok {
		return text
	}
	for path, _ := os.Executable(); len(path) > 1 && filepath.Dir(path) != path; path = filepath.Dir(path) {
		if text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "` + choiceFile + `")); err == nil {
			return string(text)
		}
	}
	return ""
}
`

// Overlay are sources that take the place of others.
type Overlay struct {
	Top string // of the repository, as an absolute path
	Dir string // where the changed sources are kept

	replace map[string]string
}

// Put replaces a file, or adds one. The path is from the top.
func (o *Overlay) Put(path string, text []byte) error {
	if o.replace == nil {
		o.replace = map[string]string{}
	}
	place, changed := filepath.Join(o.Top, filepath.FromSlash(path)), o.Changed(path)
	if changed == "" {
		changed = filepath.Join(o.Dir, strconv.Itoa(len(o.replace))+"_"+filepath.Base(place))
	}
	o.replace[place] = changed
	return os.WriteFile(changed, text, 0o600)
}

// Changed is where the text is that was put in the place of a file, "" if none was.
func (o *Overlay) Changed(path string) string {
	return o.replace[filepath.Join(o.Top, filepath.FromSlash(path))]
}

// Go runs the go command, a build flag among its arguments being the overlay. The output
// of a command that fails is in its error.
func (o *Overlay) Go(command string, args ...string) ([]byte, error) {
	text, err := json.Marshal(map[string]map[string]string{"Replace": o.replace})
	if err != nil {
		return nil, err
	}
	list := filepath.Join(o.Dir, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return nil, err
	}
	c := exec.Command("go", append([]string{command, "-overlay=" + list}, args...)...)
	c.Dir = o.Top
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("go %s %s: %w\n%s", command, strings.Join(args, " "), err, errs.Bytes())
	}
	return out.Bytes(), nil
}

// Build compiles the tests of a folder.
func (o *Overlay) Build(folder, path string) (*Binary, error) {
	if _, err := o.Go("test", "-c", "-o", path, "./"+folder); err != nil {
		return nil, err
	}
	b := &Binary{path: path, dir: filepath.Join(o.Top, filepath.FromSlash(folder))}
	// A property that fails is otherwise made smaller for half a minute, and written
	// into the tree.
	help := exec.Command(b.path, "-help")
	help.Dir = b.dir
	usage, _ := help.CombinedOutput() // it ends with an error after printing
	if bytes.Contains(usage, []byte("rapid.shrinktime")) {
		b.flags = []string{"-rapid.shrinktime=0s", "-rapid.nofailfile"}
	}
	return b, nil
}
