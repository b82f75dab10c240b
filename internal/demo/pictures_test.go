package demo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/browser"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
)

func TestMain(m *testing.M) {
	code := m.Run()
	browser.Close()
	os.Exit(code)
}

// free is an address on which nothing listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestThePicturesOfTheREADME serves the demo until it has every state, and opens the
// pages that show them, for the pictures of the README.
func TestThePicturesOfTheREADME(t *testing.T) {
	if os.Getenv("SCREENSHOTS") == "" {
		t.Skip("no SCREENSHOTS: the pictures are made by `make pictures`")
	}
	ctx, cancel := context.WithCancel(t.Context())
	url, ended := "http://"+free(t), make(chan error, 1)
	go func() {
		ended <- Live(ctx, LiveOptions{Control: free(t), Step: 5 * time.Minute, Flags: map[string]string{"LISTEN_ADDR": url[len("http://"):]}, Version: "demo",
			Printf: func(string, ...any) {}, Log: func(*config.Config) *logrus.Logger { return silent() }})
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	}()
	tab := browser.New(t)
	plan, customer := everyState(t, url, ended)
	tab.Look(browser.Looks[0])
	tab.Open(url + "/?language=en")
	if status := tab.Submit("button.demo"); status != http.StatusOK {
		t.Fatalf("one click: %d", status)
	}
	for name, path := range map[string]string{"today": "/", "plan": "/ui/plans/" + plan, "customer": "/ui/customers/" + customer} {
		for _, look := range browser.Looks[:2] {
			look.Width, look.Height = 1000, 540 // small files
			tab.Look(look)
			tab.Open(url + path)
			tab.View(name + "-" + look.Name)
			shrink(t, filepath.Join(os.Getenv("SCREENSHOTS"), name+"-"+look.Name+".png"))
		}
	}
	if all := tab.Complaints(); all != nil {
		t.Errorf("complaints: %q", all)
	}
}

// largestPicture is the most bytes of a picture of the README.
const largestPicture = 100_000

// shrink writes a picture anew with the 256 colours that it has most of; the others are
// edges of letters, and become the nearest of these.
func shrink(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := png.Decode(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	counts, box := map[color.Color]int{}, whole.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			counts[whole.At(x, y)]++
		}
	}
	most := color.Palette(slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	}))
	small, nearest := image.NewPaletted(box, most[:min(len(most), 256)]), map[color.Color]uint8{}
	for c := range counts {
		nearest[c] = uint8(small.Palette.Index(c))
	}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			small.SetColorIndex(x, y, nearest[whole.At(x, y)])
		}
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small); err != nil {
		t.Fatal(err)
	}
	if out.Len() > largestPicture {
		t.Errorf("%s: %d bytes, at most %d", file, out.Len(), largestPicture)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// everyState waits until the demo has a held plan, events that failed, and a customer who is
// parked. It returns the plan, and a customer who is in grace or else parked.
func everyState(t *testing.T, url string, ended chan error) (plan, customer string) {
	t.Helper()
	var plans struct {
		Plans []struct{ ID string }
	}
	var dashboard struct {
		Holds    []struct{ Kind, Customer string }
		Webhooks struct{ FailedCount int }
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			t.Fatalf("the demo ended early: %v", err)
		case <-t.Context().Done():
			t.Fatal("the demo never had every state")
		case <-tick.C:
		}
		if !asked(t, url+"/api/admin/plans", &plans) || !asked(t, url+"/api/admin/dashboard", &dashboard) {
			continue
		}
		kinds := map[string]string{}
		for _, h := range dashboard.Holds {
			kinds[h.Kind] = h.Customer
		}
		if kinds["parked"] != "" && kinds["unmapped"] != "" && kinds["adopt"] != "" && len(plans.Plans) > 0 && dashboard.Webhooks.FailedCount > 0 {
			return plans.Plans[0].ID, cmp.Or(kinds["grace"], kinds["parked"])
		}
	}
}

// asked asks the admin API of the demo.
func asked(t *testing.T, url string, into any) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+adminKey)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return err == nil && answer.StatusCode == http.StatusOK && json.Unmarshal(text, into) == nil
}
