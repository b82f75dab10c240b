package repocheck

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
)

// site builds the pages as `make site` does, in strict mode: a link to a page that is not
// there is an error.
func site(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"make", "mkdocs"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%v: .ci/deps installs it", err)
			}
			t.Skipf("the site is not built: %v: Debian's packages are mkdocs and mkdocs-material (make ci-deps)", err)
		}
	}
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "make", "-s", "-C", root, "site", "SITE="+dir).CombinedOutput()
	if err != nil {
		t.Fatalf("make site: %v\n%s", err, out)
	}
	return dir
}

var (
	navigated = regexp.MustCompile(`(?m)^ +- (?:[^:\n]+: )?(\S+\.md)$`)
	href      = regexp.MustCompile(`href="([^"#:]*)#([^"]+)"`)
)

// A page that is not in the navigation is built, and a visitor never finds it.
func TestTheSiteHasEveryPage(t *testing.T) {
	var want, got []string
	for _, page := range pages(t) {
		switch page {
		case "README.ro.md":
			page = "ro/README.md"
		default:
			page = strings.TrimPrefix(page, "docs/")
		}
		want = append(want, page)
	}
	for _, m := range navigated.FindAllStringSubmatch(read(t, "mkdocs.yml"), -1) {
		got = append(got, m[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-there +mkdocs.yml):\n%s", diff)
	}
}

// The generator compares links with pages, and not with the headings in them.
func TestEveryHeadingThatTheSiteLinksToIsThere(t *testing.T) {
	dir := site(t)
	built, err := filepath.Glob(filepath.Join(dir, "*", "index.html"))
	if err != nil || len(built) < 15 {
		t.Fatalf("%d pages: %v", len(built), err)
	}
	n := 0
	for _, file := range append(built, filepath.Join(dir, "index.html"), filepath.Join(dir, "ro", "install", "index.html"), filepath.Join(dir, "ro", "held", "index.html")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range href.FindAllStringSubmatch(string(text), -1) {
			to := file
			if m[1] != "" {
				to = filepath.Join(filepath.Dir(file), filepath.FromSlash(m[1]), "index.html")
			}
			target, err := os.ReadFile(to)
			if n++; err != nil || m[2] != "__drawer" && !strings.Contains(string(target), `id="`+m[2]+`"`) {
				t.Errorf("%s: %s#%s leads nowhere: %v", path.Base(filepath.Dir(file)), m[1], m[2], err)
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d links to headings were looked at", n)
	}
}

// The site needs no other host: fonts, scripts and the index of the search are its own.
func TestTheSiteOpensAndIsSearchedWithoutAnotherHost(t *testing.T) {
	dir := site(t)
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	tab := browser.New(t)
	tab.Look(browser.Looks[0])
	tab.Open(server.URL + "/")
	tab.View("site")
	if title := tab.Text("h1"); !strings.HasPrefix(title, "stripe-enhance") {
		t.Errorf("the start page is headed %q", title)
	}
	tab.Do(chromedp.Click(chromedp.CSS("input.md-search__input")))
	tab.Type("input.md-search__input", "foreign_suspension")
	found := browser.Eval[string](tab, `new Promise(found => {
		const look = () => { const first = document.querySelector("a.md-search-result__link"); if (first) found(first.href); return first }
		if (!look()) new MutationObserver((_, o) => { if (look()) o.disconnect() }).observe(document.body, {childList: true, subtree: true})
	})`)
	tab.View("site-search")
	if !strings.HasPrefix(found, server.URL+"/held/") && !strings.HasPrefix(found, server.URL+"/ro/held/") {
		t.Errorf("the search for a kind of hold finds %s first", found)
	}
	for _, loaded := range browser.Eval[[]string](tab, `performance.getEntriesByType("resource").map(e => e.name)`) {
		if !strings.HasPrefix(loaded, server.URL+"/") && !strings.HasPrefix(loaded, "data:") {
			t.Errorf("the start page loads %s", loaded)
		}
	}
	if all := tab.Complaints(); all != nil {
		t.Errorf("complaints: %q", all)
	}
}
