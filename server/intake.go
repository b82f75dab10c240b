package server

import (
	"errors"
	"io"

	"golang.org/x/sync/semaphore"
)

// intake bounds the memory for the bodies of webhooks, whose sender is not known before
// the signature is checked. A body counts for the bytes that have arrived, not for the
// length that it announces. Bodies of an ordinary size have a share of their own, so that
// large ones that come slowly do not keep them out. Safe for concurrent use.
type intake struct {
	small, large *semaphore.Weighted
}

const (
	intakeBytes = 16 << 20 // of either share
	intakeFirst = 8 << 10  // of any body
	intakeSmall = 64 << 10 // Stripe's largest events of interest were seen past 50 KiB
)

// errIntakeFull: the body was not read, because there is no memory for it.
var errIntakeFull = errors.New("too many deliveries are being read")

func newIntake() *intake {
	return &intake{small: semaphore.NewWeighted(intakeBytes), large: semaphore.NewWeighted(intakeBytes)}
}

// reservation is the part of a share that a body has taken.
type reservation struct {
	share *semaphore.Weighted
	bytes int
}

func (in *intake) reserve(bytes int) (reservation, bool) {
	l := reservation{in.small, bytes}
	if bytes > intakeSmall {
		l.share = in.large
	}
	return l, l.share.TryAcquire(int64(bytes))
}

func (l reservation) release() { l.share.Release(int64(l.bytes)) }

// read reads a body of at most limit bytes, which the body itself enforces. The caller
// calls done to release the memory; it is nil if there is an error.
func (in *intake) read(body io.Reader, limit int) (data []byte, done func(), err error) {
	has, ok := in.reserve(intakeFirst)
	if !ok {
		return nil, nil, errIntakeFull
	}
	data = make([]byte, 0, intakeFirst)
	for {
		n, err := body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case errors.Is(err, io.EOF):
			return data, has.release, nil
		case err != nil:
			has.release()
			return nil, nil, err
		case len(data) < cap(data):
			continue
		}
		more, ok := in.reserve(min(2*cap(data), limit+intakeFirst))
		if !ok {
			has.release()
			return nil, nil, errIntakeFull
		}
		data = append(make([]byte, 0, more.bytes), data...)
		has.release()
		has = more
	}
}
