package guards

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/overlay"
)

// recordEnv names the file that records the values of all conditions.
const recordEnv = "GUARDS_RECORD"

// helperSource is the file that is added to an examined package. The choice is the
// condition to remove, as NUMBER=VALUE. A line of the
// record is a number and t or f, written the first time that the condition has
// that value; child processes append to the same file.
const helperSource = `package %s

import (
	"os"
	"path/filepath"
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
	number, value, _ := strings.Cut(overlayChoice(), "=")
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
` + overlay.Choice

// examined is a package with all its guards, and the overlay in which each of them
// can be taken away.
type examined struct {
	folder  string // from the top of the repository
	sites   []Site
	sources overlay.Overlay
}

// listed is the go command's description of a package.
type listed struct {
	Dir, Name string
	GoFiles   []string
}

// prepare finds the guards of a package and writes its overlay into dir.
func prepare(top, folder, dir string, operands bool) (*examined, error) {
	ex := &examined{folder: folder, sources: overlay.Overlay{Top: top, Dir: dir}}
	out, err := ex.sources.Go("list", "-json=Dir,Name,GoFiles", "./"+folder)
	if err != nil {
		return nil, err
	}
	var pkg listed
	if err := json.Unmarshal(out, &pkg); err != nil {
		return nil, fmt.Errorf("go list %s: %w", folder, err)
	}
	for _, name := range pkg.GoFiles {
		text, err := os.ReadFile(filepath.Join(pkg.Dir, name))
		if err != nil {
			return nil, err
		}
		path := filepath.ToSlash(filepath.Join(folder, name))
		sites, err := find(path, text, operands)
		if err != nil {
			return nil, err
		}
		for i := range sites {
			sites[i].Number = len(ex.sites) + i
		}
		ex.sites = append(ex.sites, sites...)
		if err := ex.sources.Put(path, wrap(text, sites)); err != nil {
			return nil, err
		}
	}
	added := fmt.Appendf(nil, helperSource, pkg.Name, 2*len(ex.sites))
	return ex, ex.sources.Put(folder+"/zz_guard.go", added)
}

// binary is a compiled set of tests.
type binary struct {
	*overlay.Binary

	folder string
	path   string
	tests  []string

	patience time.Duration
	longest  time.Duration
	log      io.Writer
}

// build compiles the tests of a folder with the overlay.
func (ex *examined) build(folder, path string) (*binary, error) {
	built, err := ex.sources.Build(folder, path)
	if err != nil {
		return nil, err
	}
	b := &binary{Binary: built, folder: folder, path: path}
	if b.tests, err = built.Tests(); err != nil {
		return nil, fmt.Errorf("listing the tests of %s: %w", folder, err)
	}
	return b, nil
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
