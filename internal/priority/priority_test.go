package priority

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheInnermostClassCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		ctx  context.Context
		want Class
	}{
		"no class":                      {t.Context(), Normal},
		"a class":                       {With(t.Context(), Urgent), Urgent},
		"a class in a class":            {With(With(t.Context(), Bulk), Urgent), Urgent},
		"a default":                     {WithDefault(t.Context(), Bulk), Bulk},
		"a default below a class":       {WithDefault(With(t.Context(), Urgent), Bulk), Urgent},
		"a default below Normal itself": {WithDefault(With(t.Context(), Normal), Bulk), Normal},
		"more urgent than any":          {With(t.Context(), Urgent-1), Normal},
		"less urgent than any":          {With(t.Context(), Bulk+1), Normal},
	} {
		if diff := cmp.Diff(tt.want, Of(tt.ctx)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAClassOutlivesADeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(With(t.Context(), Urgent), time.Hour)
	defer cancel()
	if diff := cmp.Diff(Urgent, Of(context.WithoutCancel(ctx))); diff != "" {
		t.Errorf("class (-want +got):\n%s", diff)
	}
}

func TestEveryClassHasAWord(t *testing.T) {
	var words []string
	for _, c := range append(Classes[:], Bulk+1) {
		words = append(words, c.String())
	}
	if diff := cmp.Diff([]string{"urgent", "normal", "bulk", "unknown"}, words); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
