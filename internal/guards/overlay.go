package guards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The environment of a test binary: the condition to remove, as NUMBER=VALUE, and the file
// that records the values of all conditions.
const (
	takeEnv   = "GUARDS_TAKE"
	recordEnv = "GUARDS_RECORD"
)

// helperSource is the file that is added to an examined package. A line of the
// record is a number and t or f, written the first time that the condition has
// that value; child processes append to the same file.
const helperSource = `package %s

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

var (
	guardNumber, guardValue = guardChoice()
	guardRecord             = guardFile()
	guardSeen               [%d]atomic.Bool
)

func guardChoice() (int, bool) {
	number, value, _ := strings.Cut(os.Getenv("` + takeEnv + `"), "=")
	n, err := strconv.Atoi(number)
	if err != nil {
		return -1, false
	}
	return n, value == "true"
}

func guardFile() *os.File {
	path := os.Getenv("` + recordEnv + `")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	return f
}

func ` + helper + `[B ~bool](n int, is B) B {
	if n == guardNumber {
		return B(guardValue)
	}
	if guardRecord != nil {
		i, word := 2*n, " f\n"
		if is {
			i, word = 2*n+1, " t\n"
		}
		if guardSeen[i].CompareAndSwap(false, true) {
			if _, err := guardRecord.WriteString(strconv.Itoa(n) + word); err != nil {
				panic(err)
			}
		}
	}
	return is
}
`

// examined is a package with all its guards, and the overlay in which each of them
// can be taken away.
type examined struct {
	folder  string // from the top of the repository
	sites   []Site
	overlay string // path of the overlay file
}

// listed is the go command's description of a package.
type listed struct {
	Dir, Name string
	GoFiles   []string
}

// prepare finds the guards of a package and writes its overlay into dir.
func prepare(top, folder, dir string, operands bool) (*examined, error) {
	out, err := goCommand(top, "list", "-json=Dir,Name,GoFiles", "./"+folder)
	if err != nil {
		return nil, err
	}
	var pkg listed
	if err := json.Unmarshal(out, &pkg); err != nil {
		return nil, fmt.Errorf("go list %s: %w", folder, err)
	}
	ex := &examined{folder: folder, overlay: filepath.Join(dir, "overlay.json")}
	replace := map[string]string{}
	for _, name := range pkg.GoFiles {
		text, err := os.ReadFile(filepath.Join(pkg.Dir, name))
		if err != nil {
			return nil, err
		}
		sites, err := find(filepath.ToSlash(filepath.Join(folder, name)), text, operands)
		if err != nil {
			return nil, err
		}
		for i := range sites {
			sites[i].Number = len(ex.sites) + i
		}
		ex.sites = append(ex.sites, sites...)
		changed := filepath.Join(dir, name)
		if err := os.WriteFile(changed, wrap(text, sites), 0o600); err != nil {
			return nil, err
		}
		replace[filepath.Join(pkg.Dir, name)] = changed
	}
	added := filepath.Join(dir, "zz_guard.go")
	if err := os.WriteFile(added, fmt.Appendf(nil, helperSource, pkg.Name, 2*len(ex.sites)), 0o600); err != nil {
		return nil, err
	}
	replace[filepath.Join(pkg.Dir, filepath.Base(added))] = added
	text, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return nil, err
	}
	return ex, os.WriteFile(ex.overlay, text, 0o600)
}

// binary is a compiled set of tests.
type binary struct {
	path  string
	dir   string   // where its tests run
	flags []string // that keep a failing test short
	tests []string

	patience time.Duration
	longest  time.Duration
	log      io.Writer
}

// build compiles the tests of a folder with the overlay.
func (ex *examined) build(top, folder, path string) (*binary, error) {
	if _, err := goCommand(top, "test", "-c", "-overlay="+ex.overlay, "-o", path, "./"+folder); err != nil {
		return nil, err
	}
	b := &binary{path: path, dir: filepath.Join(top, folder)}
	out, err := b.command("-test.list", "^(Test|Fuzz|Example)").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the tests of %s: %w", folder, err)
	}
	b.tests = strings.Fields(string(out))
	// A property that fails is otherwise made smaller for half a minute, and written
	// into the tree.
	usage, _ := b.command("-help").CombinedOutput() // it ends with an error after printing
	if bytes.Contains(usage, []byte("rapid.shrinktime")) {
		b.flags = []string{"-rapid.shrinktime=0s", "-rapid.nofailfile"}
	}
	return b, nil
}

func (b *binary) command(args ...string) *exec.Cmd {
	c := exec.Command(b.path, args...)
	c.Dir = b.dir
	return c
}

func goCommand(top string, args ...string) ([]byte, error) {
	c := exec.Command("go", args...)
	c.Dir = top
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, errs.Bytes())
	}
	return out.Bytes(), nil
}

// seen are the values of the conditions in one test, by number.
type seen map[int]struct{ yes, no bool }

func readSeen(path string) (seen, error) {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return seen{}, nil // it met no guard
	}
	if err != nil {
		return nil, err
	}
	all := seen{}
	for line := range strings.Lines(string(text)) {
		number, word, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(number)
		if err != nil || word != "t" && word != "f" {
			return nil, fmt.Errorf("%s: %q is not a line of a record", path, line)
		}
		was := all[n]
		was.yes, was.no = was.yes || word == "t", was.no || word == "f"
		all[n] = was
	}
	return all, nil
}
