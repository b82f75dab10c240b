package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/semaphore"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// slow is a body that stops coming after some bytes until it is let go.
type slow struct {
	left   int
	stuck  *sync.WaitGroup // done once when nothing more comes
	resume <-chan struct{}
	once   sync.Once
}

func (b *slow) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.once.Do(b.stuck.Done)
		<-b.resume
		return 0, io.EOF
	}
	n := min(len(p), b.left)
	b.left -= n
	return n, nil
}

// received makes a server of which only the webhook is used. The function that it returns
// counts the events that the server has stored.
func received(t *testing.T) (*Server, func() int) {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	seen := 0
	s := &Server{intake: newIntake(), o: Options{Observer: noObserver{}, Log: log, Now: time.Now, Ports: Ports{Nudges: &company{}}}}
	s.o.Verify = func(body []byte, _ string, _ time.Time) (reconcile.Event, error) {
		if !bytes.HasPrefix(body, []byte("signed")) {
			return reconcile.Event{}, errors.New("signed by nobody")
		}
		seen++
		return reconcile.Event{ID: "evt_1", Type: "charge.failed"}, nil
	}
	return s, func() int { return seen }
}

func post(s *Server, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, webhookPath, body)
	r.Header.Set("Stripe-Signature", "t=1,v1=00")
	w := httptest.NewRecorder()
	r.Body = http.MaxBytesReader(w, r.Body, webhookLimit)
	s.webhook(w, r)
	return w
}

// Strangers send large bodies that never end, as many as there are connections. If they were
// read without a bound, they would take the memory of the process; if all bodies shared one
// bound, they would keep Stripe out.
func TestBodiesOfStrangersTakeNoMoreMemoryThanThereIs(t *testing.T) {
	s, seen := received(t)
	resume := make(chan struct{})
	var stuck, ended sync.WaitGroup
	busy := make(chan int, 900)
	for range 900 {
		stuck.Add(1)
		ended.Go(func() {
			body := &slow{left: webhookLimit - 1, stuck: &stuck, resume: resume}
			code := post(s, body).Code
			body.once.Do(stuck.Done) // refused before it stopped coming
			busy <- code
		})
	}
	stuck.Wait()
	if got := post(s, strings.NewReader("signed "+strings.Repeat("x", 50<<10))); got.Code != http.StatusOK || seen() != 1 {
		t.Errorf("Stripe is answered with %d: %s", got.Code, got.Body)
	}
	close(resume)
	ended.Wait()
	close(busy)
	codes := map[int]int{}
	for code := range busy {
		codes[code]++
	}
	if held := codes[http.StatusBadRequest]; held == 0 || held*webhookLimit > 32<<20 || codes[http.StatusServiceUnavailable] != 900-held {
		t.Errorf("answers %v", codes)
	}
	if got := post(s, strings.NewReader("signed "+strings.Repeat("x", 500<<10))); got.Code != http.StatusOK {
		t.Errorf("with the strangers gone a large delivery is answered with %d", got.Code)
	}
	for name, share := range map[string]interface{ TryAcquire(int64) bool }{"small": s.intake.small, "large": s.intake.large} {
		if !share.TryAcquire(intakeBytes) {
			t.Errorf("not everything of the share for %s bodies was given back", name)
		}
	}
}

func TestADeliveryThatThereIsNoMemoryForIsPutOff(t *testing.T) {
	for name, fill := range map[string]func(*intake) *semaphore.Weighted{
		"large": func(in *intake) *semaphore.Weighted { return in.large },
		"small": func(in *intake) *semaphore.Weighted { return in.small },
	} {
		t.Run(name, func(t *testing.T) {
			s, seen := received(t)
			if !fill(s.intake).TryAcquire(intakeBytes) {
				t.Fatal("not empty to begin with")
			}
			got := post(s, strings.NewReader("signed "+strings.Repeat("x", 500<<10)))
			if got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" || !strings.Contains(got.Body.String(), `"retryable":true`) || seen() != 0 {
				t.Errorf("answered with %d: %s", got.Code, got.Body)
			}
			if got := post(s, strings.NewReader("signed")); name == "large" && (got.Code != http.StatusOK || seen() != 1) {
				t.Errorf("an ordinary delivery is answered with %d", got.Code)
			}
			fill(s.intake).Release(intakeBytes)
			if got := post(s, strings.NewReader("signed "+strings.Repeat("x", 500<<10))); got.Code != http.StatusOK {
				t.Errorf("then it is answered with %d: %s", got.Code, got.Body)
			}
		})
	}
}

func TestABodyIsReadAsItIs(t *testing.T) {
	for _, size := range []int{0, 1, intakeFirst - 1, intakeFirst, intakeFirst + 1, intakeSmall, intakeSmall + 1, webhookLimit - 1, webhookLimit} {
		in := newIntake()
		want := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		got, done, err := in.read(io.MultiReader(bytes.NewReader(want[:size/3]), bytes.NewReader(want[size/3:])), webhookLimit)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes read as %d, %v", size, len(got), err)
		}
		done()
		if !in.small.TryAcquire(intakeBytes) || !in.large.TryAcquire(intakeBytes) {
			t.Errorf("of %d bytes something is held for ever", size)
		}
	}
}

// The memory of a body is used again, but not before the body was dealt with.
func TestABodyDoesNotChangeWhileAnotherIsRead(t *testing.T) {
	in := newIntake()
	for _, size := range []int{100, intakeFirst - 1, intakeSmall} {
		first, doneFirst, err := in.read(bytes.NewReader(bytes.Repeat([]byte("a"), size)), webhookLimit)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			second, done, err := in.read(bytes.NewReader(bytes.Repeat([]byte("b"), size)), webhookLimit)
			if err != nil || bytes.Count(second, []byte("b")) != size || bytes.Count(first, []byte("a")) != size {
				t.Fatalf("of %d bytes each: %v, first %.9q, second %.9q", size, err, first, second)
			}
			done()
		}
		doneFirst()
	}
}
