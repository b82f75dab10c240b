package config

import (
	"fmt"
	"testing"
)

// BenchmarkLoad reads the settings of a command in an environment with 60 variables of other
// programs, each of which is compared with every setting.
func BenchmarkLoad(b *testing.B) {
	environ := []string{"STRIPE_SECRET_KEY=sk_test_1", "ENHANCE_API_URL=https://panel.example.com/api", "ENHANCE_API_TOKEN=token",
		"ENHANCE_ORG_ID=00000000-0000-0000-0000-000000000001", "GRACE_PERIOD=3d"}
	for i := range 60 {
		environ = append(environ, fmt.Sprintf("SERVICE_%d_PORT_%d_TCP=value", i, 8000+i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Load(Sources{Environ: environ}, NeedStripe|NeedEnhance); err != nil {
			b.Fatal(err)
		}
	}
}
