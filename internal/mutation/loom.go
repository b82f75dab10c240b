package mutation

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/stripe-enhance/stripe-enhance/internal/overlay"
)

// loom builds all mistakes that one build can have.
type loom struct {
	sources *overlay.Overlay
	changes map[string][]change // by file, from the top
	files   map[string]*woven
	apart   map[int]error // mistakes that need a build of their own, and why
}

// set weaves the mistakes into their files. One that does not compile is left out, because
// it would take the others with it.
func set(sources *overlay.Overlay, changes map[string][]change) (*loom, error) {
	l := &loom{sources: sources, changes: changes, files: map[string]*woven{}, apart: map[int]error{}}
	if err := l.put(slices.Sorted(maps.Keys(changes))); err != nil {
		return nil, err
	}
	for len(l.files) > 0 {
		_, failed := sources.Go("build", append([]string{"-o", os.DevNull}, l.folders()...)...)
		if failed == nil {
			break
		}
		files, found := l.blame(failed.Error())
		if !found {
			return nil, failed
		}
		if err := l.put(files); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// put weaves files, with those mistakes that need no build of their own.
func (l *loom) put(files []string) error {
	for _, file := range files {
		if path.Ext(file) != ".go" {
			for _, c := range l.changes[file] {
				l.apart[c.number] = errors.New("is in no Go file")
			}
			continue
		}
		text, err := os.ReadFile(filepath.Join(l.sources.Top, file))
		if err != nil {
			return err
		}
		w, err := weave(text, slices.DeleteFunc(slices.Clone(l.changes[file]), func(c change) bool { return l.apart[c.number] != nil }))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		maps.Copy(l.apart, w.apart)
		l.files[file] = w
		if err := errors.Join(l.sources.Put(file, w.text), l.sources.Put(path.Dir(file)+"/zz_mistake.go", fmt.Appendf(nil, helperSource, w.name))); err != nil {
			return err
		}
	}
	return nil
}

func (l *loom) folders() (all []string) {
	for file := range l.files {
		all = append(all, "./"+path.Dir(file))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var compileError = regexp.MustCompile(`(?m)^(\S+\.go):(\d+):\d+: (.*)$`)

// blame leaves out the mistakes on the lines of the compiler's errors. An error elsewhere
// in a woven file leaves out all that the file has.
func (l *loom) blame(output string) (files []string, found bool) {
	for _, m := range compileError.FindAllStringSubmatch(output, -1) {
		file := l.named(m[1])
		w := l.files[file]
		if w == nil {
			continue
		}
		line, err := strconv.Atoi(m[2])
		if err != nil {
			continue
		}
		numbers := w.at(line)
		if len(numbers) == 0 {
			for _, c := range l.changes[file] {
				numbers = append(numbers, c.number)
			}
		}
		for _, n := range numbers {
			if l.apart[n] == nil {
				l.apart[n], found = fmt.Errorf("does not compile beside the original: %s", m[3]), true
			}
		}
		files = append(files, file)
	}
	slices.Sort(files)
	return slices.Compact(files), found
}

// named is the file that the compiler means, which may be the changed one.
func (l *loom) named(reported string) string {
	if !filepath.IsAbs(reported) {
		reported = filepath.Join(l.sources.Top, reported)
	}
	for file := range l.files {
		if reported == l.sources.Changed(file) || reported == filepath.Join(l.sources.Top, filepath.FromSlash(file)) {
			return file
		}
	}
	return ""
}
