package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// storedDomainUse is the column domain_use of hostings.
type storedDomainUse struct {
	Domain  string `json:"domain"`
	Status  string `json:"status"`
	Org     string `json:"org,omitempty"`
	Hosting int64  `json:"hosting,omitempty"`
	Refused string `json:"refused,omitempty"`
	ReadAt  int64  `json:"read_at"` // microseconds since 1970
	FreeAt  int64  `json:"free_at,omitempty"`
}

// SaveDomainUse stores where the panel has the domain that was ordered for a hosting. It
// wakes no customer, because only a customer that is being planned needs it.
func (s *Store) SaveDomainUse(ctx context.Context, tok reconcile.Token, hosting int64, use reconcile.DomainUse) error {
	return s.fenced(ctx, "saving where a domain is", tok, func(ctx context.Context, tx conn) error {
		return putDomainUse(ctx, tx, hosting, use)
	})
}

func putDomainUse(ctx context.Context, tx conn, hosting int64, use reconcile.DomainUse) error {
	_, err := tx.exec(ctx, "UPDATE hostings SET domain_use = $2 WHERE id = $1", hosting, document(storedDomainUse{
		clean(use.Domain), string(use.Status), clean(use.Org), use.Hosting, clean(use.Refused), micros(use.ReadAt), micros(use.FreeAt)}))
	return err
}

func decodeDomainUse(text sql.RawBytes, into *reconcile.DomainUse) error {
	if len(text) == 0 {
		return nil
	}
	var u storedDomainUse
	if err := json.Unmarshal(text, &u); err != nil {
		return err
	}
	*into = reconcile.DomainUse{Domain: u.Domain, Status: reconcile.ParseDomainStatus(u.Status), Org: u.Org, Hosting: u.Hosting, Refused: u.Refused, ReadAt: fromMicros(u.ReadAt), FreeAt: fromMicros(u.FreeAt)}
	return nil
}
