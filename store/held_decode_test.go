package store

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// TestHoldsAreReadAsJSONIs compares the fast reading with that of encoding/json, for holds
// as both databases return them and for texts with a mistake in them.
func TestHoldsAreReadAsJSONIs(t *testing.T) {
	word := rapid.SampledFrom([]string{"", "cus_1", `say "no"`, `back\\slash`, `\\"`, "Grüße, Ærø", "<a&b>", "line\nbreak", "\u2028", "},{", `\`})
	rapid.Check(t, func(rt *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) storedHold {
			return storedHold{Kind: word.Draw(rt, "kind"), Subscription: word.Draw(rt, "subscription"), Email: word.Draw(rt, "email"), Org: word.Draw(rt, "org"),
				Hosting: rapid.Int64().Draw(rt, "hosting"), Action: word.Draw(rt, "action"), Reason: word.Draw(rt, "reason"), Until: rapid.Int64().Draw(rt, "until"),
				Manual: word.Draw(rt, "manual"), Order: rapid.Bool().Draw(rt, "order")}
		}), 0, 3).Draw(rt, "holds")
		text, err := json.Marshal(all)
		if rapid.Bool().Draw(rt, "spaces") {
			text, err = json.MarshalIndent(all, " ", "  ")
		}
		if err != nil {
			rt.Fatal(err)
		}
		got, ok := scanHolds(string(text))
		if !ok {
			rt.Fatalf("not read: %s", text)
		}
		same(&quiet{TB: t, rt: rt}, string(text), all, got)

		at := rapid.IntRange(0, len(text)-1).Draw(rt, "position")
		text[at] = rapid.SampledFrom([]byte("{}[]\",:\\0-tx \n\x01\xff")).Draw(rt, "mistake")
		var want []storedHold
		if got, ok := scanHolds(string(text)); ok {
			if err := json.Unmarshal(text, &want); err != nil {
				rt.Fatalf("read as %+v: %s: %v", got, text, err)
			}
			same(&quiet{TB: t, rt: rt}, string(text), want, got)
		}
	})
}

func BenchmarkDecodeHolds(b *testing.B) {
	text := []byte(`[{"kind":"unmapped","subscription":"sub_1NqAbCdEf","email":"someone@example.com","reason":"price price_newsletter of product prod_newsletter has no mapping","order":true}]`)
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			if _, err := decodeHolds("cus_1", text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		for b.Loop() {
			var stored []storedHold
			if err := json.Unmarshal(text, &stored); err != nil {
				b.Fatal(err)
			}
		}
	})
}
