package stripe

import (
	"encoding/json"
	"iter"
)

// maxDepth is how deep objects and lists may be nested; encoding/json allows more.
const maxDepth = 100

// Classes of the bytes of a string.
const (
	upper   = 1 << iota // a name with one may be another field to encoding/json
	high                // not ASCII
	escaped             // a backslash
	closing             // the quotation mark
	control             // not allowed in a string
)

// classes has the class of each byte; 0: any other.
var classes = func() (c [256]uint8) {
	for b := range c {
		switch {
		case b < ' ':
			c[b] = control
		case b == '"':
			c[b] = closing
		case b == '\\':
			c[b] = escaped
		case 'A' <= b && b <= 'Z':
			c[b] = upper
		case b >= 0x80:
			c[b] = high
		}
	}
	return c
}()

// space moves to the next byte that is not white space and returns it; 0: the end.
func (p *plain) space() byte {
	if p.i < len(p.b) && p.b[p.i] > ' ' {
		return p.b[p.i]
	}
	return p.pastSpace()
}

func (p *plain) pastSpace() byte {
	for i, c := range p.b[p.i:] {
		switch c {
		case ' ', '\n', '\t', '\r':
		default:
			p.i += i
			return c
		}
	}
	p.i = len(p.b)
	return 0
}

// take reads one byte that must be c.
func (p *plain) take(c byte) bool {
	if p.odd || p.space() != c {
		p.odd = true
		return false
	}
	p.i++
	return true
}

// null reads null, if it is next.
func (p *plain) null() bool { return p.space() == 'n' && p.literal("null") }

func (p *plain) literal(word string) bool {
	if end := p.i + len(word); end <= len(p.b) && string(p.b[p.i:end]) == word {
		p.i = end
		return true
	}
	p.odd = true
	return false
}

// object goes through the names of an object; the loop has to read the value of each. If
// names are of fields, one that is not in lower case is odd.
func (p *plain) object(fields bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		p.take('{')
		if p.space() == '}' {
			p.i++
			return
		}
		for more := true; more && !p.odd; {
			name := p.name(fields)
			more = p.take(':') && yield(name)
			if p.space() == '}' {
				p.i++
				return
			}
			p.take(',')
		}
	}
}

// name reads a name within an object.
func (p *plain) name(field bool) []byte {
	raw, class := p.quoted()
	switch {
	case p.odd:
		return nil
	case field && class&(upper|high|escaped) != 0:
		p.odd = true
		return nil
	case class&(high|escaped) != 0:
		var text string
		p.odd = json.Unmarshal(raw, &text) != nil
		return []byte(text)
	}
	return raw[1 : len(raw)-1]
}

// quoted reads a string with its quotation marks, and the classes of its bytes.
func (p *plain) quoted() (raw []byte, class uint8) {
	if p.space() != '"' {
		p.odd = true
		return nil, 0
	}
	b := p.b[p.i:]
	for i := 1; i < len(b); i++ {
		k := classes[b[i]]
		if k == 0 {
			continue
		}
		class |= k
		switch k {
		case closing:
			p.i += i + 1
			return b[:i+1], class
		case escaped:
			n := escape(b[i:])
			if n == 0 {
				p.odd = true
				return nil, 0
			}
			i += n - 1
		case control:
			p.odd = true
			return nil, 0
		}
	}
	p.odd = true
	return nil, 0
}

// escape returns the length of the escape sequence at the beginning of b; 0: none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// number reads an integer that surely fits.
func (p *plain) number(v *int64) {
	if p.null() {
		return
	}
	const surely = 18 // digits
	negative := p.i < len(p.b) && p.b[p.i] == '-'
	if negative {
		p.i++
	}
	begin, n := p.i, int64(0)
	for p.digits(1) {
		n = n*10 + int64(p.b[p.i-1]-'0')
		if p.b[begin] == '0' || p.i-begin == surely {
			break
		}
	}
	if p.i == begin {
		p.odd = true
	}
	if negative {
		n = -n
	}
	*v = n
}

// digits reads up to most digits and reports whether there was one.
func (p *plain) digits(most int) bool {
	begin := p.i
	for p.i < len(p.b) && p.i-begin < most && '0' <= p.b[p.i] && p.b[p.i] <= '9' {
		p.i++
	}
	return p.i > begin
}

func (p *plain) flag(v *bool) {
	switch p.space() {
	case 't':
		*v = true
		p.literal("true")
	case 'f':
		*v = false
		p.literal("false")
	default:
		p.odd = p.odd || !p.null()
	}
}

// skip reads a value and keeps nothing of it.
func (p *plain) skip() {
	switch p.space() {
	case '"':
		p.quoted()
	case '{':
		p.skipObject()
	case '[':
		p.skipList()
	case 't':
		p.literal("true")
	case 'f':
		p.literal("false")
	case 'n':
		p.literal("null")
	default:
		p.skipNumber()
	}
}

func (p *plain) skipNumber() {
	if p.i < len(p.b) && p.b[p.i] == '-' {
		p.i++
	}
	if p.i < len(p.b) && p.b[p.i] == '0' {
		p.i++
	} else if !p.digits(len(p.b)) {
		p.odd = true
	}
	if p.i < len(p.b) && p.b[p.i] == '.' {
		p.i++
		p.odd = p.odd || !p.digits(len(p.b))
	}
	if p.i < len(p.b) && (p.b[p.i] == 'e' || p.b[p.i] == 'E') {
		p.i++
		if p.i < len(p.b) && (p.b[p.i] == '+' || p.b[p.i] == '-') {
			p.i++
		}
		p.odd = p.odd || !p.digits(len(p.b))
	}
}

// deeper counts the depth of what is skipped.
func (p *plain) deeper() {
	p.depth++
	p.odd = p.odd || p.depth > maxDepth
}

func (p *plain) skipObject() {
	p.take('{')
	p.deeper()
	defer func() { p.depth-- }()
	if p.space() == '}' {
		p.i++
		return
	}
	for !p.odd {
		p.quoted()
		p.take(':')
		p.skip()
		if p.space() == '}' {
			p.i++
			return
		}
		p.take(',')
	}
}

func (p *plain) skipList() {
	p.take('[')
	p.deeper()
	defer func() { p.depth-- }()
	if p.space() == ']' {
		p.i++
		return
	}
	for !p.odd {
		p.skip()
		if p.space() == ']' {
			p.i++
			return
		}
		p.take(',')
	}
}
