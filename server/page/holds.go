package page

import "github.com/stripe-enhance/stripe-enhance/internal/fault"

// holds lists the holds that people have put.
func (v *visit) holds() (any, error) {
	all, err := v.ports.Holds.ManualHolds(v.r.Context(), v.server.Now())
	if err != nil {
		return nil, err
	}
	columns := []column{{Key: "holds.on"}, {Key: "holds.kind"}, {Key: "holds.until", Kind: "time"}, {Key: "holds.reason", Kind: "wide"}, {Key: "holds.author"}, {Key: "holds.created", Kind: "time"}, {Key: "holds.change", Kind: "forms"}}
	rows := make([]row, 0, len(all))
	for _, h := range all {
		until := cell{At: h.Until}
		if h.Until.IsZero() {
			until = cell{Text: v.T("holds.no_end")}
		}
		rows = append(rows, row{
			{Text: h.Customer, Note: h.Subscription}, {Text: h.Kind.String(), Mark: "wait"}, until, {Text: h.Reason}, {Text: h.Author}, {At: h.Created},
			{Forms: []form{{To: "/ui/holds/remove", Task: "hold", Label: "holds.remove", Fields: map[string]string{"id": h.ID}}}},
		})
	}
	return v.paged("holds.none", columns, rows), nil
}

func (v *visit) removeHold() (done, error) {
	found, err := v.server.RemoveHold(v.r.Context(), v.r.PostFormValue("id"))
	if err == nil && !found {
		err = fault.NotFound
	}
	return done{to: "/ui/holds", text: "holds.removed"}, err
}
