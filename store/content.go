package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// storedContent is what was on a hosting, as the column content keeps it.
type storedContent struct {
	Sites  []string `json:"sites,omitempty"`
	Count  int      `json:"count,omitempty"`
	Unread string   `json:"unread,omitempty"`
}

// decodeContent reads the column; NULL is nothing.
func decodeContent(text sql.RawBytes, into *reconcile.Content) error {
	if text == nil {
		return nil
	}
	var stored storedContent
	if err := json.Unmarshal(text, &stored); err != nil {
		return err
	}
	into.Sites, into.Count, into.Unread = stored.Sites, stored.Count, stored.Unread
	return nil
}

var updateContent = bulk{
	head:    "UPDATE hostings SET content = {content}, content_read_at = {content_read_at}",
	columns: []column{{"id", "BIGINT"}, {"org", "TEXT"}, {"content", "JSONB"}, {"content_read_at", "TIMESTAMPTZ"}},
	tail:    "hostings.id = {id} AND hostings.org_id = {org}",
}

// SaveContent stores what is on the hostings of an org, of which all websites were
// listed: a hosting without any has none. With a reason the panel refused to list
// them, and what was known before is not known any more. It wakes nobody: only who is
// being planned asks.
func (s *Store) SaveContent(ctx context.Context, tok reconcile.Token, org string, sites []reconcile.Website, unread string, now time.Time) error {
	return s.fenced(ctx, "saving what is on the hostings of "+org, tok, func(ctx context.Context, tx conn) error {
		on := reconcile.ContentOf(sites, now)
		var rows [][]any
		err := tx.each(ctx, "SELECT id FROM hostings WHERE org_id = $1 ORDER BY id", []any{org}, func(row scan) error {
			var id int64
			if err := row(&id); err != nil {
				return err
			}
			stored := storedContent{Count: on[id].Count, Unread: clean(unread)}
			for _, domain := range on[id].Sites {
				stored.Sites = append(stored.Sites, clean(domain))
			}
			rows = append(rows, []any{id, org, document(stored), at(now)})
			return nil
		})
		if err != nil {
			return err
		}
		return tx.bulk(ctx, updateContent, rows)
	})
}
