package store

import (
	"context"
	"encoding/json"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Features returns the features of all products that were asked for, by product.
func (s *Store) Features(ctx context.Context) (all []reconcile.ProductFeatures, err error) {
	query := "SELECT product, keys, read_at, asked_at, emptied, unread FROM product_features ORDER BY product"
	err = s.query(ctx, "reading the features of products", query, nil, func(row scan) error {
		var f reconcile.ProductFeatures
		var keys []byte
		if err := row(&f.Product, &keys, into(&f.ReadAt), into(&f.AskedAt), &f.Emptied, &f.Unread); err != nil {
			return err
		}
		if err := json.Unmarshal(keys, &f.Keys); err != nil {
			return badRow("product", f.Product, err)
		}
		all = append(all, f)
		return nil
	})
	return all, err
}

// SaveFeatures stores the features of one product in the place of those before.
func (s *Store) SaveFeatures(ctx context.Context, tok reconcile.Token, f reconcile.ProductFeatures) error {
	keys := make([]string, len(f.Keys))
	for i, key := range f.Keys {
		keys[i] = clean(key)
	}
	return s.fenced(ctx, "saving the features of a product", tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, `INSERT INTO product_features (product, keys, read_at, asked_at, emptied, unread) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (product) DO UPDATE SET keys = excluded.keys, read_at = excluded.read_at, asked_at = excluded.asked_at,
				emptied = excluded.emptied, unread = excluded.unread`,
			clean(f.Product), document(keys), at(f.ReadAt), at(f.AskedAt), f.Emptied, clean(f.Unread))
		return err
	})
}
