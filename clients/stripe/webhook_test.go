package stripe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

const hookSecret = "whsec_canary0123456789abcdef"

var (
	hookTime = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	hookBody = eventBody("evt_1", "customer.subscription.updated", `{"object":"subscription","id":"sub_1"}`)
	hookKeys = []secret.Text{secret.New(hookSecret)}
)

// mac is a signature, made without the library that verifies it.
func mac(body, key, stamp string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(stamp + "." + body))
	return hex.EncodeToString(h.Sum(nil))
}

func signedHeader(body, key string, at time.Time) string {
	stamp := fmt.Sprint(at.Unix())
	return "t=" + stamp + ",v1=" + mac(body, key, stamp)
}

func TestASignedEventIsAHint(t *testing.T) {
	want := EventHint{ID: "evt_1", Type: "customer.subscription.updated", Created: time.Unix(1700000900, 0).UTC(), Subscription: "sub_1"}
	good := signedHeader(hookBody, hookSecret, hookTime)
	other := "whsec_another0123456789abcdef"
	for name, tt := range map[string]struct {
		header  string
		secrets []secret.Text
		now     time.Time
	}{
		"now":                            {good, hookKeys, hookTime},
		"at the edge of too old":         {good, hookKeys, hookTime.Add(webhookTolerance)},
		"at the edge of too early":       {good, hookKeys, hookTime.Add(-webhookTolerance)},
		"the second of two secrets":      {good, []secret.Text{secret.New(other), secret.New(hookSecret)}, hookTime},
		"an empty secret beside it":      {good, []secret.Text{{}, secret.New(hookSecret)}, hookTime},
		"a rolled secret signs twice":    {good + ",v1=" + strings.Repeat("0", 64), hookKeys, hookTime},
		"the matching one comes second":  {strings.Replace(good, ",", ",v1="+strings.Repeat("0", 64)+",", 1), hookKeys, hookTime},
		"the old scheme is ignored":      {good + ",v0=abc", hookKeys, hookTime},
		"a secret of one character":      {signedHeader(hookBody, "whsec_x", hookTime), []secret.Text{secret.New("whsec_x")}, hookTime},
		"a signature that is not in hex": {strings.Replace(good, ",", ",v1=zz,", 1), hookKeys, hookTime},
	} {
		got, err := VerifyWebhook([]byte(hookBody), tt.header, tt.secrets, tt.now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAForgeryIsRefused(t *testing.T) {
	good := signedHeader(hookBody, hookSecret, hookTime)
	stamp, signature, _ := strings.Cut(good, ",")
	seconds := strings.TrimPrefix(stamp, "t=")
	for name, tt := range map[string]struct {
		body, header string
		want         error
		secrets      []secret.Text
	}{
		"no header":                         {hookBody, "", ErrNotSigned, hookKeys},
		"no signature":                      {hookBody, stamp, ErrNotSigned, hookKeys},
		"no time":                           {hookBody, signature, ErrNotSigned, hookKeys},
		"an empty time":                     {hookBody, "t=," + signature, ErrNotSigned, hookKeys},
		"a time in words":                   {hookBody, "t=now," + signature, ErrNotSigned, hookKeys},
		"a time with a sign":                {hookBody, "t=+" + seconds + "," + signature, ErrNotSigned, hookKeys},
		"a negative time":                   {hookBody, "t=-" + seconds + "," + signature, ErrNotSigned, hookKeys},
		"a fraction of a time":              {hookBody, "t=" + seconds + ".5," + signature, ErrNotSigned, hookKeys},
		"a time beyond numbers":             {hookBody, "t=99999999999999999999," + signature, ErrNotSigned, hookKeys},
		"a time with spaces":                {hookBody, "t= " + seconds + "," + signature, ErrNotSigned, hookKeys},
		"two times, the first good":         {hookBody, good + ",t=1", ErrNotSigned, hookKeys},
		"two times, the last good":          {hookBody, "t=1," + good, ErrNotSigned, hookKeys},
		"the same time twice":               {hookBody, stamp + "," + good, ErrNotSigned, hookKeys},
		"a part without a value":            {hookBody, good + ",x", ErrNotSigned, hookKeys},
		"a trailing comma":                  {hookBody, good + ",", ErrNotSigned, hookKeys},
		"only separators":                   {hookBody, ",,,", ErrNotSigned, hookKeys},
		"only the old scheme":               {hookBody, stamp + ",v0=" + mac(hookBody, hookSecret, seconds), ErrNotSigned, hookKeys},
		"a scheme in upper case":            {hookBody, stamp + ",V1=" + mac(hookBody, hookSecret, seconds), ErrNotSigned, hookKeys},
		"too many signatures":               {hookBody, stamp + strings.Repeat(",v1=00", webhookSignatures) + "," + signature, ErrNotSigned, hookKeys},
		"a header without end":              {hookBody, good + ",x=" + strings.Repeat("y", webhookHeader), ErrNotSigned, hookKeys},
		"an empty signature":                {hookBody, stamp + ",v1=", ErrSignature, hookKeys},
		"half a signature":                  {hookBody, good[:len(good)-2], ErrSignature, hookKeys},
		"a signature and a byte":            {hookBody, good + "00", ErrSignature, hookKeys},
		"another time":                      {hookBody, "t=" + fmt.Sprint(hookTime.Unix()+1) + "," + signature, ErrSignature, hookKeys},
		"another body":                      {hookBody + " ", good, ErrSignature, hookKeys},
		"an empty body":                     {"", good, ErrSignature, hookKeys},
		"a body cut short":                  {hookBody[:len(hookBody)-1], good, ErrSignature, hookKeys},
		"another secret":                    {hookBody, signedHeader(hookBody, hookSecret+"x", hookTime), ErrSignature, hookKeys},
		"the secret without its prefix":     {hookBody, signedHeader(hookBody, strings.TrimPrefix(hookSecret, "whsec_"), hookTime), ErrSignature, hookKeys},
		"signed with nothing":               {hookBody, signedHeader(hookBody, "", hookTime), ErrSignature, hookKeys},
		"signed with nothing, no secrets":   {hookBody, signedHeader(hookBody, "", hookTime), ErrNoSecret, nil},
		"signed with nothing, empty secret": {hookBody, signedHeader(hookBody, "", hookTime), ErrNoSecret, []secret.Text{{}}},
		"signed with a secret too short":    {hookBody, signedHeader(hookBody, "whsec_", hookTime), ErrNoSecret, []secret.Text{secret.New("whsec_")}},
		"the signature of the body alone":   {hookBody, stamp + ",v1=" + hex.EncodeToString(hmac.New(sha256.New, []byte(hookSecret)).Sum([]byte(hookBody)))[:64], ErrSignature, hookKeys},
		"too old":                           {hookBody, signedHeader(hookBody, hookSecret, hookTime.Add(-webhookTolerance-time.Second)), ErrTimestamp, hookKeys},
		"from the future":                   {hookBody, signedHeader(hookBody, hookSecret, hookTime.Add(webhookTolerance+time.Second)), ErrTimestamp, hookKeys},
		"from next year":                    {hookBody, signedHeader(hookBody, hookSecret, hookTime.AddDate(1, 0, 0)), ErrTimestamp, hookKeys},
		"from the end of time":              {hookBody, signedHeader(hookBody, hookSecret, time.Unix(1<<62, 0)), ErrTimestamp, hookKeys},
		"huge":                              {strings.Repeat(" ", webhookBody+1), good, ErrWebhookBody, hookKeys},
	} {
		t.Run(name, func(t *testing.T) {
			hint, err := VerifyWebhook([]byte(tt.body), tt.header, tt.secrets, hookTime)
			if !errors.Is(err, tt.want) || fault.Of(err) != fault.Permanent {
				t.Errorf("error %v (%v), want %v", err, fault.Of(err), tt.want)
			}
			if diff := cmp.Diff(EventHint{}, hint); diff != "" {
				t.Errorf("hint beside the error (-want +got):\n%s", diff)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("the secret is in %v", err)
			}
		})
	}
}

func TestWhatIsSignedButNoEventIsRefused(t *testing.T) {
	for _, body := range []string{``, `{}`, `null`, `[]`, `"evt_1"`, `{"object":"event"}`, hookBody + hookBody, `[` + hookBody + `]`,
		`{"object":"event","id":"","type":"x"}`, `{"object":"event","id":5,"type":"x"}`, `{"object":"event","id":null,"type":"x"}`,
		`{"id":"evt_\u0000","type":"x"}`, `{"id":"` + strings.Repeat("a", 256) + `"}`} {
		_, err := VerifyWebhook([]byte(body), signedHeader(body, hookSecret, hookTime), hookKeys, hookTime)
		if !errors.Is(err, ErrWebhookEvent) {
			t.Errorf("%s: error %v, want %v", body, err, ErrWebhookEvent)
		}
	}
}

// TestWhateverIsSignedAndHasAnIDIsAccepted: if its shape is not that of the known
// event, the hint is vague.
func TestWhateverIsSignedAndHasAnIDIsAccepted(t *testing.T) {
	const kind = "customer.subscription.updated"
	for body, want := range map[string]EventHint{
		`{"id":"evt_1"}`: {ID: "evt_1", Vague: true},
		`{"id":"evt_1","type":"customer.subscription.updated","data":{"object":{"object":"subscription","id":"sub_1"}}}`:                   {ID: "evt_1", Type: kind, Subscription: "sub_1", Vague: true},
		`{"id":"evt_1","object":"event","data":{"object":{"object":"subscription","id":"sub_1"}}}`:                                         {ID: "evt_1", Subscription: "sub_1", Vague: true},
		`{"id":"evt_1","object":"event","type":"customer.subscription.updated"}`:                                                           {ID: "evt_1", Type: kind},
		`{"id":"evt_1","object":"v2.core.event","type":"v2.core.account.updated","created":"2026-03-02T09:00:00.000Z","livemode":"maybe"}`: {ID: "evt_1", Type: "v2.core.account.updated", Vague: true},
		`{"id":"evt_1","object":"event","type":5,"data":"none"}`:                                                                           {ID: "evt_1", Vague: true},
		`{"id":"evt_1'--","object":"event","type":"x"}`:                                                                                    {ID: "evt_1'--", Type: "x"},
		` {"data":{"object":{"object":"subscription","id":"../x"}},"id":"1"}`:                                                              {ID: "1", Vague: true},
	} {
		got, err := VerifyWebhook([]byte(body), signedHeader(body, hookSecret, hookTime), hookKeys, hookTime)
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func TestAnEventOfAnUnknownTypeIsAcceptedAndTouchesNothing(t *testing.T) {
	body := eventBody("evt_1", "flux.capacitor.charged", `{"object":"capacitor","id":"fc_1"}`)
	got, err := VerifyWebhook([]byte(body), signedHeader(body, hookSecret, hookTime), hookKeys, hookTime)
	if err != nil || got.ID != "evt_1" || got.Subscription != "" || got.StripeCustomer != "" {
		t.Errorf("hint %+v, error %v", got, err)
	}
}
