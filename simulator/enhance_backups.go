package simulator

import (
	"slices"
	"strings"
	"time"
)

// Backups is how the panel makes backups of websites. The zero value makes them in no time,
// and they succeed.
type Backups struct {
	Take   time.Duration // from the start to the end
	Fail   bool          // the databases of each fail, and the rest is saved
	Denied bool          // the token may not
}

// SetBackups changes how the panel makes backups from now on.
func (w *World) SetBackups(b Backups) {
	w.enter()
	defer w.mu.Unlock()
	w.panel.backups = b
}

type backup struct {
	id              int
	started, ended  time.Time
	mailboxes, fail bool
	description     string
}

// website finds the website of an organisation that the path names.
func (w *World) website(q *request) (*Website, *answer) {
	o, bad := w.org(q, 0)
	if bad != nil {
		return nil, bad
	}
	id := strings.ToLower(q.vars[1])
	i := slices.IndexFunc(o.websites, func(s *Website) bool { return s.ID == id && s.Status != "deleted" })
	switch {
	case !isUUID(id):
		a := badInput("Path deserialize error: UUID parsing failed")
		return nil, &a
	case i < 0:
		a := notFound("website")
		return nil, &a
	}
	return o.websites[i], nil
}

// savedSite is website for operations about backups.
func (w *World) savedSite(q *request) (*Website, *answer) {
	s, bad := w.website(q)
	if bad == nil && w.panel.backups.Denied {
		a := enhanceErrorFor(403)
		bad = &a
	}
	return s, bad
}

// listBackups lists the backups of a website, those that failed included. It has no pages.
func listBackups(w *World, q *request) answer {
	s, bad := w.savedSite(q)
	if bad != nil {
		return *bad
	}
	var d doc
	d.open()
	d.array("items")
	for i := range s.backups {
		w.writeBackup(&d, &s.backups[i])
	}
	d.closeArray()
	d.close()
	return answer{status: 200, body: d.b}
}

// createBackup makes a backup of a website. orchd answers when the backup has ended; before
// that, the proxy in front of it gives up.
func createBackup(w *World, q *request) answer {
	s, bad := w.savedSite(q)
	if bad == nil {
		bad = checkQuery(q, "includeEmails")
	}
	if bad != nil {
		return *bad
	}
	b := readBody(q, nil, "description")
	if b.bad != nil {
		return *b.bad
	}
	h := w.panel.hosting(s.Hosting)
	made := backup{id: 1 + len(s.backups), started: w.now, ended: w.now.Add(w.panel.backups.Take), fail: w.panel.backups.Fail,
		mailboxes: q.Query.Get("includeEmails") == "true", description: b.text("description")}
	s.backups = append(s.backups, made)
	w.effect(Effect{Kind: "backup_website", Org: s.Org, Hosting: s.Hosting, Object: s.ID, Before: h.state(), After: h.state()})
	if w.panel.backups.Take > 0 {
		return answer{status: 504, body: []byte("<html><h1>504 Gateway Time-out</h1></html>"), kind: "text/html"}
	}
	var d doc
	w.writeBackup(&d, &made)
	return created(string(d.b))
}

func (w *World) writeBackup(d *doc, b *backup) {
	files, databases := "successful", "successful"
	if b.fail {
		databases = "failed"
	}
	running := w.now.Before(b.ended)
	if running {
		files, databases = "started", ""
	}
	d.open()
	d.num("id", int64(b.id))
	d.str("startedAt", stamp(b.started))
	if !running {
		d.str("finishedAt", stamp(b.ended))
	}
	d.str("snapshotDirName", "snapshot-"+itoa(int64(b.id)))
	d.str("homeDirStatus", files)
	if databases != "" {
		d.str("mysqlDbsStatus", databases)
	}
	if b.mailboxes && !running {
		d.str("emailsStatus", "successful")
	}
	d.str("kind", "manual")
	d.str("storageKind", "enhance")
	if b.description != "" {
		d.str("description", b.description)
	}
	w.writeUnknownFields(d)
	d.close()
}
