// Package browser gives tests a real browser: one headless Chromium for each test binary, and
// in it a profile of its own for each test, so that cookies of one test are unknown to the
// other.
//
// It needs Debian's package chromium, or another Chromium or Chrome in PATH. If there is
// none, tests skip with that reason, except under CI=true, where a skipped browser would be
// a hole in the tests that goes unnoticed. The browser reaches no address outside of this
// machine.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

// stepLimit is how long the steps of one Do may take together: generous, because two cores
// may be shared by several test binaries.
const stepLimit = 60 * time.Second

// names are the programs that are looked for, in this order.
var names = []string{"chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"}

// shared is the browser of this test binary. It is started by the first test that asks.
var shared struct {
	once sync.Once
	ctx  context.Context
	end  func()
	err  error
}

func start() {
	path, ok := needs.Find(names...)
	if !ok {
		shared.err = errors.New("no Chromium in PATH: " + strings.Join(names, ", "))
		return
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	var endBrowser context.CancelFunc
	shared.ctx, endBrowser = chromedp.NewContext(allocator) //nolint:fatcontext // once
	shared.end = func() { endBrowser(); endAllocator() }
	shared.err = chromedp.Do(shared.ctx)
}

// Close ends the browser. Call it from TestMain.
func Close() {
	if shared.end != nil {
		shared.end()
	}
}

// Tab is a tab in a profile of its own.
type Tab struct {
	tb  testing.TB
	ctx context.Context

	mu         sync.Mutex // guards complaints
	complaints []string
}

// New opens a tab that is closed after the test.
func New(tb testing.TB) *Tab {
	tb.Helper()
	shared.once.Do(start)
	if shared.err != nil {
		if _, ok := needs.Find(names...); !ok {
			needs.Missing(tb, "the page is not tested in a browser: %v", shared.err)
		}
		tb.Fatalf("browser: %v", shared.err)
	}
	ctx, cancel := chromedp.NewContext(shared.ctx, chromedp.WithNewBrowserContext())
	tb.Cleanup(cancel)
	t := &Tab{tb: tb, ctx: ctx}
	if err := chromedp.Listen(ctx, t.listen); err != nil {
		tb.Fatalf("browser: %v", err)
	}
	command(t, log.Enable, cdp.Empty{})
	return t
}

func (t *Tab) listen(event any) {
	var text string
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			text = fmt.Sprintf("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text = "console: " + string(e.Type)
			for _, a := range e.Args {
				text += " " + string(a.Value)
			}
		}
	}
	if text != "" {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.complaints = append(t.complaints, text)
	}
}

// Complaints returns the errors and warnings of the console since the last time: of scripts,
// of files that did not load, and of what the content security policy has refused.
func (t *Tab) Complaints() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.complaints
	t.complaints = nil
	return all
}

// Do does steps of chromedp; an error ends the test.
func (t *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	t.tb.Helper()
	Get(t, func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		return chromedp.Void{}, chromedp.Do(ctx, steps...)
	})
}

// Get does one step of chromedp and returns its value; an error ends the test.
func Get[T any](t *Tab, step chromedp.Action[T]) T {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, stepLimit)
	defer cancel()
	value, err := chromedp.Run(ctx, step)
	if err != nil {
		t.tb.Fatalf("browser: %v\nconsole: %q", err, t.Complaints())
	}
	return value
}

func command[P, R any](t *Tab, c cdp.Command[P, R], params P) {
	t.tb.Helper()
	if _, err := chromedp.Call(t.ctx, c, params); err != nil {
		t.tb.Fatalf("browser: %s: %v", c.Method, err)
	}
}

// Open loads an address and waits until it is there with all its files.
func (t *Tab) Open(url string) {
	t.tb.Helper()
	t.Do(chromedp.Navigate(url))
}

// Text is the visible text of the first element that a CSS selector finds.
func (t *Tab) Text(selector string) string {
	t.tb.Helper()
	return Get(t, chromedp.Text(chromedp.CSS(selector)))
}

// Submit clicks an element, and waits until the page that follows is there. It returns its
// status.
func (t *Tab) Submit(selector string) int64 {
	t.tb.Helper()
	ctx, cancel := context.WithTimeout(t.ctx, stepLimit)
	defer cancel()
	r, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)))
	if err != nil {
		t.tb.Fatalf("browser: %v\nconsole: %q", err, t.Complaints())
	}
	return r.Status
}

// Type types a text into the element that a CSS selector finds.
func (t *Tab) Type(selector, text string) {
	t.tb.Helper()
	t.Do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Press presses a key, by its name in package kb of chromedp or as a letter.
func (t *Tab) Press(keys string) {
	t.tb.Helper()
	t.Do(chromedp.KeyEvent(keys))
}

// Eval evaluates an expression of JavaScript. A promise is waited for.
func Eval[T any](t *Tab, expression string) T {
	t.tb.Helper()
	return Get(t, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Look is how a page is looked at.
type Look struct {
	Name          string
	Width, Height int64
	Dark, Phone   bool
	Print         bool // as on paper
}

// Looks are the three that every page has to be good in.
var Looks = []Look{
	{Name: "light", Width: 1280, Height: 800},
	{Name: "dark", Width: 1280, Height: 800, Dark: true},
	{Name: "phone", Width: 360, Height: 740, Phone: true},
}

// Look changes how the tab looks at pages.
func (t *Tab) Look(l Look) {
	t.tb.Helper()
	scheme := "light"
	if l.Dark {
		scheme = "dark"
	}
	command(t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.Width, Height: l.Height, DeviceScaleFactor: 1, Mobile: l.Phone})
	media := ""
	if l.Print {
		media = "print"
	}
	command(t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// Picture keeps a screenshot of the whole page as NAME.png in the directory that the
// environment variable SCREENSHOTS names. If it names none, no picture is made.
func (t *Tab) Picture(name string) {
	t.tb.Helper()
	const lossless = 100 // a PNG
	t.keep(name, chromedp.FullScreenshot(lossless))
}

// View is Picture of what a person sees of the page without scrolling.
func (t *Tab) View(name string) {
	t.tb.Helper()
	t.keep(name, chromedp.CaptureScreenshot())
}

func (t *Tab) keep(name string, shot chromedp.Action[[]byte]) {
	t.tb.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	picture := Get(t, shot)
	if err := errors.Join(os.MkdirAll(dir, 0o750), os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600)); err != nil {
		t.tb.Fatalf("browser: %v", err)
	}
}
