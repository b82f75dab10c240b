package simulator

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// prf is a pseudorandom function: it turns a seed and a description of a decision into
// a choice. It has no state, so a choice does not depend on earlier ones.
type prf uint64

// hash hashes the parts. It applies the finaliser of splitmix64 because FNV-1a mixes
// its low bits badly.
func (d prf) hash(parts ...string) uint64 {
	h := uint64(14695981039346656037) ^ mix(uint64(d))
	for _, p := range parts {
		for i := range len(p) {
			h = (h ^ uint64(p[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211 // a separator, so that "ab","c" is not "a","bc"
	}
	return mix(h)
}

// nth is the number for the n-th thing of a kind.
func (d prf) nth(kind string, n uint64) uint64 { return mix(d.hash(kind) + n*0x9e3779b97f4a7c15) }

// chance is true for about permille in a thousand values of roll.
func chance(roll uint64, permille uint64) bool {
	hi, _ := bits.Mul64(roll, 1000)
	return hi < permille
}

// below maps roll to 0 … n-1.
func below(roll uint64, n int) int {
	hi, _ := bits.Mul64(roll, uint64(n))
	return int(hi)
}

func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// id returns letters and digits, as both services use them in ids.
func (d prf) id(length int, parts ...string) string { return base62(d.hash(parts...), length) }

func base62(roll uint64, length int) string {
	b := make([]byte, length)
	for i := range b {
		if i%10 == 0 && i > 0 {
			roll = mix(roll)
		}
		b[i] = alphabet[(roll>>(6*(i%10)))%62]
	}
	return string(b)
}

// uuid returns a version 4 UUID in the usual format.
func (d prf) uuid(parts ...string) string {
	var b [16]byte
	r := d.hash(parts...)
	binary.BigEndian.PutUint64(b[:8], r)
	binary.BigEndian.PutUint64(b[8:], mix(r))
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
