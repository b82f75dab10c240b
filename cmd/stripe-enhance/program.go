package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

// program is the process. Everything from outside is a field, so that no command uses a
// global, and a test can replace it.
type program struct {
	in       io.Reader
	out, err io.Writer
	environ  []string
	// dotEnvs are where a file with settings is looked for; the first that exists counts.
	dotEnvs []string
	// terminalOut and terminalErr report whether the two streams are terminals.
	terminalOut, terminalErr bool
	// width returns the columns of the terminal of out; 0: unknown.
	width func() int
	now   func() time.Time
	// failpoint ends the process where a test asks for it; nil in every program that is
	// built without the tag failpoint (internal/app/failpoint.go).
	failpoint func(step, what string)

	format  format            // of -o, valid while a command runs
	shown   report.View       // how much of a report is shown
	flags   map[string]string // settings given as flags, by the variable's name
	command string            // "stripe-enhance mappings list"
	decides bool              // the command stores decisions, which it else only shows
	key     string            // a glimpse of the key for Stripe, once settings are read
	// unhelpful is the error if help was asked about a command that does not exist.
	unhelpful error
}

// run executes one command line and returns the exit code.
func (p *program) run(ctx context.Context, args []string) (code int) {
	defer func() {
		if v := recover(); v != nil {
			code = p.crashed(v)
		}
	}()
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	err := root.ExecuteContext(ctx)
	return p.ended(ctx, errors.Join(err, p.unhelpful))
}

// ended prints how a command ended, and returns the exit code.
func (p *program) ended(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	code := codeOf(err)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		p.sayf("interrupted: %s. The action under way is recorded, and the next run continues from there", trail(err))
		return exitFailed
	}
	if text := err.Error(); text != "" {
		p.sayf("%s", text)
	}
	if hint := p.hintFor(err); hint != "" {
		p.sayf("%s", hint)
	}
	return code
}

// trail is the path of an interrupted call without the words "context canceled", which do
// not help a person.
func trail(err error) string {
	text := strings.TrimSuffix(err.Error(), context.Canceled.Error())
	if text = strings.TrimRight(text, ": "); text == "" {
		return "before the end"
	}
	return "while " + text
}

// sayf writes one line to the person at the terminal, never to a script.
func (p *program) sayf(format string, args ...any) {
	fmt.Fprintln(p.err, "stripe-enhance: "+strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}

// crashed is the last resort. The value of a panic may contain a key, so it shows only the
// runtime's own message, and the stack without arguments.
func (p *program) crashed(v any) int {
	what := fmt.Sprintf("a %T", v)
	var r runtime.Error
	if err, ok := v.(error); ok && errors.As(err, &r) {
		what = r.Error()
	}
	p.sayf("internal error: %s. This is a mistake in the program. The journal stays valid, and the next run continues from it.", what)
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	for {
		f, more := frames.Next()
		fmt.Fprintf(p.err, "    %s:%d\n", f.Function, f.Line)
		if !more {
			return exitFailed
		}
	}
}

// style is for what goes to stdout.
func (p *program) style() report.Style {
	return report.Style{Color: p.terminalOut && p.colours()}
}

// colours follows no-color.org and the oldest terminals.
func (p *program) colours() bool {
	return !slices.ContainsFunc(p.environ, func(kv string) bool {
		name, value, _ := strings.Cut(kv, "=")
		return name == "NO_COLOR" && value != "" || name == "TERM" && value == "dumb"
	})
}

// person names who gave a command, for the journal: user@host. With sudo it names the user
// behind it, because root alone could be any user who may become root.
func (p *program) person() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	user := fmt.Sprintf("uid-%d", os.Getuid())
	for _, name := range []string{"USER", "LOGNAME", "USERNAME"} {
		if value := p.variable(name); value != "" {
			user = value
			break
		}
	}
	if behind := p.variable("SUDO_USER"); behind != "" && behind != user {
		return fmt.Sprintf("%s@%s (sudo as %s)", behind, host, user)
	}
	return user + "@" + host
}

// variable is one of the environment; "" if it is not set.
func (p *program) variable(name string) string {
	for _, kv := range slices.Backward(p.environ) { // the last one counts
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
