//go:build unix

package main

import (
	"bytes"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

// copied is a company on SQLite whose database Litestream copies by the file in deploy.
type copied struct {
	*site
	tool, config, replica, database string
}

func newCopied(t *testing.T) *copied {
	t.Helper()
	dir := t.TempDir()
	c := &copied{tool: needs.Program(t, "litestream"), config: filepath.Join(dir, "litestream.yml"), database: filepath.Join(dir, "stripe-enhance.db"), replica: filepath.Join(dir, "elsewhere")}
	text, err := os.ReadFile("../../deploy/litestream.yml")
	if err != nil {
		t.Fatal(err)
	}
	const path = "path: /var/lib/stripe-enhance/stripe-enhance.db\n"
	if strings.Count(string(text), path) != 1 {
		t.Fatalf("deploy/litestream.yml names another file than the units make:\n%s", text)
	}
	if err := os.WriteFile(c.config, []byte(strings.Replace(string(text), path, "path: "+c.database+"\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.site = newSite(t, "sqlite:"+c.database)
	return c
}

func (c *copied) lite(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.tb.Context(), c.tool, args...)
	cmd.Env = append(os.Environ(), "LITESTREAM_REPLICA_URL=file://"+c.replica)
	return cmd
}

// replicate runs Litestream beside the program until the test ends it.
func (c *copied) replicate() (end func(syscall.Signal)) {
	c.tb.Helper()
	cmd := c.lite("replicate", "-config", c.config)
	var talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &talk, &talk
	if err := cmd.Start(); err != nil {
		c.tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	gone := false
	end = func(s syscall.Signal) {
		if !gone {
			gone = true
			_ = cmd.Process.Signal(s)
			<-ended
		}
	}
	c.tb.Cleanup(func() {
		end(syscall.SIGKILL)
		if c.tb.Failed() {
			c.tb.Logf("litestream: %s", talk.String())
		}
	})
	return end
}

// restore makes a new file of what the replica has.
func (c *copied) restore(more ...string) (path string, err error) {
	path = filepath.Join(c.tb.TempDir(), "restored.db")
	out, err := c.lite(slices.Concat([]string{"restore", "-config", c.config, "-o", path}, more, []string{c.database})...).CombinedOutput()
	if err != nil {
		c.tb.Logf("restore: %v: %s", err, out)
	}
	return path, err
}

// bindings are the links between subscriptions and hostings in a database.
func (c *copied) bindings(path string) (all []string) {
	c.tb.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		c.tb.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(c.tb.Context(), "SELECT subscription_id || ' ' || hosting_id FROM bindings ORDER BY 1")
	if err != nil {
		return nil
	}
	defer rows.Close()
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			c.tb.Fatal(err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		c.tb.Fatal(err)
	}
	return all
}

// copiedWith waits until a restored file has n bindings, and returns it.
func (c *copied) copiedWith(n int) (path string) {
	c.tb.Helper()
	eventually(c.tb, "the replica has it", func() bool {
		var err error
		path, err = c.restore()
		return err == nil && len(c.bindings(path)) == n
	})
	return path
}

// The real Litestream copies while the program works. The machine is lost, and the program
// begins on what was restored elsewhere: it knows the same customers. From a restore of an
// earlier moment it finds by its marker what it has made since.
func TestLitestreamCopiesWhileTheProgramWorks(t *testing.T) {
	t.Parallel()
	c := newCopied(t)
	first := c.serve("on the machine")
	end := c.replicate()
	c.mapPrices()
	c.signUp(several("early", 3)...)
	c.hosted(3)
	c.copiedWith(3)
	moment := time.Now().UTC().Format(time.RFC3339Nano)
	c.signUp(several("late", 2)...)
	c.hosted(5)
	restored := c.copiedWith(5)
	bound := c.bindings(c.database)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	first.exit()
	end(syscall.SIGKILL)
	effects := len(c.world.Effects())

	if diff := cmp.Diff(bound, c.bindings(restored)); diff != "" {
		t.Errorf("bindings (-lost +restored):\n%s", diff)
	}
	c.env = append(c.env, "DATABASE_URL=sqlite:"+restored, "LEASE_TTL=3s")
	eventually(t, "a run on the restored database has nothing left to do", func() bool { // once the lease of the lost one is over
		_, _, code := c.run("reconcile", "--full")
		return code == 0
	})
	early, err := c.restore("-timestamp", moment, "-integrity-check", "full")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(c.bindings(early)); n != 3 {
		t.Errorf("%d bindings in the restore of a moment with 3", n)
	}
	c.env = append(c.env, "DATABASE_URL=sqlite:"+early)
	eventually(t, "a run on the restore of an earlier moment has nothing left to do", func() bool {
		_, _, code := c.run("reconcile", "--full")
		return code == 0
	})
	if diff := cmp.Diff(bound, c.bindings(early)); diff != "" {
		t.Errorf("bindings after the run (-lost +found again):\n%s", diff)
	}
	for _, e := range c.world.Effects()[effects:] {
		if e.Kind == "create_org" || e.Kind == "create_subscription" || e.Kind == "suspend" {
			t.Errorf("on a restored database: %s for %s", e.Kind, e.Org)
		}
	}
	if v := c.world.Violations(); len(v) > 0 {
		t.Errorf("sent what must never be sent: %v", v)
	}
}
