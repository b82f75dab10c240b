package store

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

const (
	// connectLimit bounds the first contact, so that a wrong host is told at once.
	connectLimit = 10 * time.Second
	// defaultPool is what a run, the web side and the lease use at most together;
	// pool_max_conns in the URL changes it.
	defaultPool = 8
)

// openPostgres connects by the URL. Statements are described once and sent
// unnamed (cache_describe): the fastest way that leaves nothing behind on the
// server's session, so that any pooler between is fine. default_query_exec_mode
// in the URL changes it.
func openPostgres(ctx context.Context, o Options) (*Store, error) {
	raw := o.URL.Reveal()
	config, err := pgxpool.ParseConfig(raw)
	if err != nil {
		return nil, permanent("the database URL is not valid: %w", withoutPassword(raw, err))
	}
	if !strings.Contains(raw, "default_query_exec_mode=") {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	if !strings.Contains(raw, "pool_max_conns=") {
		config.MaxConns = defaultPool
	}
	config.MaxConns = max(config.MaxConns, 2) // migrating holds its lock on one and works on another
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectLimit
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, withoutPassword(raw, err)
	}
	db := stdlib.OpenDBFromPool(pool)
	s := &Store{d: postgres, write: db, read: db}
	s.close = []func() error{db.Close, func() error { pool.Close(); return nil }}
	ctx, cancel := context.WithTimeout(ctx, 2*connectLimit)
	defer cancel()
	if err := pool.Ping(ctx); err != nil {
		return nil, errors.Join(withoutPassword(raw, err), s.Close())
	}
	return s, nil
}

// withoutPassword keeps an error from quoting the password or the whole URL. It
// drops the chain, which might be formatted elsewhere.
func withoutPassword(raw string, err error) error {
	text := strings.ReplaceAll(err.Error(), raw, "[the URL]")
	u, parseErr := url.Parse(raw)
	if parseErr != nil {
		return errors.New("it cannot be parsed; special characters in user or password must be percent-encoded")
	}
	hide := []string{u.Query().Get("password"), u.Query().Get("sslpassword")}
	if u.User != nil {
		password, _ := u.User.Password()
		hide = append(hide, password, url.QueryEscape(password), url.PathEscape(password))
		if _, encoded, ok := strings.Cut(u.User.String(), ":"); ok {
			hide = append(hide, encoded)
		}
	}
	for _, secret := range hide {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	return fault.Wrap(kindOf(err), errors.New(text))
}
