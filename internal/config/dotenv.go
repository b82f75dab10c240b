package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/joho/godotenv"
)

// maxDotEnv is the largest file that is read: a database or a log that happens to be
// called .env is not configuration.
const maxDotEnv = 1 << 20

// IsDotEnv reports whether there is a file of settings, readable or not. A directory of
// this name belongs to other tools.
func IsDotEnv(path string) bool {
	if path == "" {
		return false
	}
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// readDotEnv reads the file if it exists. godotenv's own messages quote the line that does
// not parse, and that line may be a key, so the problems here have only its number.
func readDotEnv(path string, problems *Problems) map[string]string {
	none := map[string]string{}
	if path == "" {
		return none
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return none
	case err == nil && info.IsDir():
		return none // a directory of this name belongs to other tools
	case err == nil && info.Size() > maxDotEnv:
		*problems = append(*problems, Problem{Name: path, Wrong: "is larger than 1 MiB, so it is not a file of settings"})
		return none
	}
	text, err := os.ReadFile(path)
	if err != nil {
		*problems = append(*problems, Problem{Name: path, Wrong: "exists and cannot be read: " + reason(err)})
		return none
	}
	return parseDotEnv(path, string(text), problems)
}

// maxBroken is how many broken lines of one file are reported. If it has more, it is
// another kind of file.
const maxBroken = 10

// parseDotEnv reads every line of a file that can be read. Broken lines are reported by
// their numbers and the others count, so that one slip does not make everything "not set".
func parseDotEnv(path, text string, problems *Problems) map[string]string {
	for range maxBroken {
		values, err := godotenv.Unmarshal(text)
		n := spacedLine(text, values)
		if err == nil && n == 0 {
			return values
		}
		if n == 0 {
			n = brokenLine(text)
		}
		lines := strings.SplitAfter(text, "\n")
		*problems = append(*problems, Problem{
			Name:    path,
			Wrong:   fmt.Sprintf("line %d is not NAME=value", n),
			Meaning: "settings for this directory; the environment wins over it",
			Example: "MODE=observe",
			about:   settingOn(lines[n-1]),
		})
		lines[n-1] = "\n"
		text = strings.Join(lines, "")
	}
	return map[string]string{}
}

// spacedLine returns the number of a line whose name has a space in it, which the parser
// accepts, as in ENHANCE_API_URL https://…; 0 if there is none.
func spacedLine(text string, values map[string]string) int {
	for name := range values {
		if !strings.ContainsAny(name, " \t") {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(strings.TrimPrefix(strings.TrimSpace(line), "export "), name) {
				return i + 1
			}
		}
	}
	return 0
}

// settingOn returns the setting with which a broken line begins; "": with none.
func settingOn(line string) string {
	name := strings.TrimPrefix(strings.TrimSpace(line), "export ")
	if i := strings.IndexFunc(name, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') }); i >= 0 {
		name = name[:i]
	}
	if _, ok := known(name); ok {
		return name
	}
	return ""
}

// exposed refuses a file of settings that other users may change, or whose credentials they
// may read. It returns warnings about the folder.
func exposed(path string, values map[string]string, problems *Problems) (warnings []string) {
	if path == "" || len(values) == 0 || runtime.GOOS == "windows" { // Windows has no such bits
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	refuse := func(wrong string) {
		*problems = append(*problems, Problem{Name: path, Wrong: wrong + ": chmod 600 " + path})
	}
	folder, err := os.Stat(filepath.Dir(path))
	switch open := reachable(path); {
	case open && info.Mode().Perm()&0o002 != 0:
		refuse("can be changed by every user of this machine, and with it what this program does")
	case err == nil && folder.Mode().Perm()&0o002 != 0 && folder.Mode()&fs.ModeSticky == 0:
		warnings = append(warnings, "the folder of "+path+" can be changed by every user of this machine, who may put another file in its place: chmod o-w "+filepath.Dir(path))
	case open && info.Mode().Perm()&0o004 != 0 && hasCredentials(values):
		refuse("can be read by every user of this machine, and there are credentials in it")
	}
	return warnings
}

// hasCredentials reports whether one of the values is a secret, whichever variable it is of.
func hasCredentials(values map[string]string) bool {
	for name, value := range values {
		v, _ := known(name)
		if looksSecret(value) || v.Secret && value != "" && !strings.HasPrefix(value, "sqlite:") {
			return true
		}
	}
	return false
}

// brokenLine returns the number of the first line with which the text stops parsing.
func brokenLine(text string) int {
	lines := strings.SplitAfter(text, "\n")
	for n := range lines {
		_, err := godotenv.Unmarshal(strings.Join(lines[:n+1], ""))
		if err != nil && parsesNever(lines, n) {
			return n + 1
		}
	}
	return len(lines)
}

// parsesNever reports whether a line is broken. If not, it is the beginning of a quoted
// value that a later line completes.
func parsesNever(lines []string, n int) bool {
	for end := n + 1; end <= len(lines); end++ {
		if _, err := godotenv.Unmarshal(strings.Join(lines[:end], "")); err == nil {
			return false
		}
	}
	return true
}

// reason returns the cause of a file error without the path, which stands beside it.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
