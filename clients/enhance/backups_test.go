package enhance_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	firstSite  = "11111111-aaaa-4bbb-8ccc-000000000001"
	secondSite = "11111111-aaaa-4bbb-8ccc-000000000002"
)

// saved serves a panel with two websites on hosting 42, b.example.com with one good backup,
// and a.example.com with backups as given.
func saved(t *testing.T, status int, items string) string {
	t.Helper()
	return served(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/websites"):
			respond(w, 200, "%s", sitePage(3, site(secondSite, "b.example.com", `"subscriptionId":42`), site(firstSite, "a.example.com", `"subscriptionId":42`),
				site("11111111-aaaa-4bbb-8ccc-000000000003", "other.example.com", `"subscriptionId":43`)))
		case strings.Contains(r.URL.Path, secondSite):
			respond(w, 200, `{"items":[%s]}`, backup("2026-03-02T10:00:00Z", "2026-03-02T10:05:00Z", "successful", `,"mysqlDbsStatus":"successful","emailsStatus":"successful"`))
		default:
			respond(w, status, "%s", items)
		}
	})
}

func backup(started, finished, files, more string) string {
	ended := ""
	if finished != "" {
		ended = fmt.Sprintf(`,"finishedAt":%q`, finished)
	}
	return fmt.Sprintf(`{"id":1,"startedAt":%q%s,"snapshotDirName":"s","homeDirStatus":%q,"kind":"manual","storageKind":"enhance"%s}`, started, ended, files, more)
}

// A backup counts that began since the instant, is done, and has every part that the
// website has.
//
// With these mistakes put in once, it went red: a backup of before the instant counts; one
// that is under way counts; one with a failed part counts; a part in a state that is not
// known counts; a list without items is an empty one.
func TestWhichBackupCounts(t *testing.T) {
	since := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	began := since.Add(time.Hour)
	const at, end = "2026-03-01T13:00:00Z", "2026-03-01T13:10:00Z"
	lacking := reconcile.Backups{Lacking: "a.example.com"}
	for name, tt := range map[string]struct {
		items string
		want  reconcile.Backups
	}{
		"none":                      {``, lacking},
		"complete":                  {backup(at, end, "successful", `,"mysqlDbsStatus":"successful"`), reconcile.Backups{}},
		"of files alone":            {backup(at, end, "successful", ``), reconcile.Backups{}},
		"before":                    {backup("2026-03-01T11:59:59Z", end, "successful", ``), lacking},
		"at the instant":            {backup("2026-03-01T12:00:00Z", end, "successful", ``), reconcile.Backups{}},
		"under way":                 {backup(at, "", "started", ``), reconcile.Backups{Lacking: "a.example.com", Began: began}},
		"the files are ready":       {backup(at, "", "successful", ``), reconcile.Backups{Lacking: "a.example.com", Began: began}},
		"no files":                  {backup(at, end, "failed", ``), reconcile.Backups{Lacking: "a.example.com", Failed: began}},
		"no databases":              {backup(at, end, "successful", `,"mysqlDbsStatus":"failed"`), reconcile.Backups{Lacking: "a.example.com", Failed: began}},
		"no mailboxes":              {backup(at, end, "successful", `,"emailsStatus":"failed"`), reconcile.Backups{Lacking: "a.example.com", Failed: began}},
		"a state that is not known": {backup(at, end, "successful", `,"emailsStatus":"partial"`), reconcile.Backups{Lacking: "a.example.com", Failed: began}},
		"a good one after a bad one": {backup(at, end, "failed", ``) + "," + backup("2026-03-01T14:00:00Z", "2026-03-01T14:01:00Z", "successful", ``),
			reconcile.Backups{}},
		"the last one that failed": {backup("2026-03-01T12:30:00Z", end, "failed", ``) + "," + backup(at, end, "failed", ``) + "," + backup("2026-03-01T12:40:00Z", end, "failed", ``),
			reconcile.Backups{Lacking: "a.example.com", Failed: began}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fast(t, saved(t, 200, `{"items":[`+tt.items+`]}`)).Backups(t.Context(), otherOrg, 42, since)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		})
	}
	for name, tt := range map[string]struct {
		status       int
		answer, want string
	}{
		"no items":     {200, `{}`, "malformed"},
		"no time":      {200, `{"items":[{"id":1,"homeDirStatus":"successful"}]}`, "malformed"},
		"not allowed":  {403, `{"code":"forbidden"}`, "denied"},
		"no such site": {404, `{"code":"not_found","detail":"website"}`, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fast(t, saved(t, tt.status, tt.answer)).Backups(t.Context(), otherOrg, 42, since)
			if diff := cmp.Diff(tt.want, verdict(err)); diff != "" || got.Began != (time.Time{}) {
				t.Errorf("%+v %v (-want +got)\n%s", got, err, diff)
			}
		})
	}
}

// A backup of a website that is not on the hosting any more is not made.
func TestABackupIsOfAWebsiteOfTheHosting(t *testing.T) {
	c := fast(t, saved(t, 200, `{"items":[]}`))
	for _, domain := range []string{"other.example.com", "gone.example.com"} {
		if diff := cmp.Diff("conflict", verdict(c.StartBackup(t.Context(), otherOrg, 42, domain))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", domain, diff)
		}
	}
}
