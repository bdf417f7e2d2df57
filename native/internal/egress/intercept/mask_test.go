package intercept

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

// secretValue has whatever encodings differ in.
const secretValue = `s3cret/+&"\ %25<~é~>`

func maskerOf(values ...string) *masker {
	named := map[string][]string{}
	for i, value := range values {
		named[fmt.Sprint("KEY", i)] = []string{value}
	}
	return newMasker(named)
}

// byteEscaped spells every byte as URLs may.
func byteEscaped(text, format string) string {
	var escaped strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&escaped, format, c)
	}
	return escaped.String()
}

func spellings(t testing.TB, value string) map[string]string {
	t.Helper()
	marshalled, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	quoted := string(marshalled[1 : len(marshalled)-1])
	escapedRunes := ""
	for _, r := range value {
		escapedRunes += fmt.Sprintf(`\u%04X`, r)
	}
	return map[string]string{
		"raw": value, "hex": hex.EncodeToString([]byte(value)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(value))),
		"a query's": url.QueryEscape(value), "a path's": url.PathEscape(value), "every byte escaped": byteEscaped(value, "%%%02x"), "in capitals": byteEscaped(value, "%%%02X"),
		"json": quoted, "json with slashes": strings.ReplaceAll(quoted, "/", `\/`), "json with every character escaped": escapedRunes,
	}
}

func TestAValueIsMaskedInEverySpellingAndItsSurroundingsStay(t *testing.T) {
	m := maskerOf(secretValue)
	for name, spelled := range spellings(t, secretValue) {
		for _, around := range [][2]string{{"", ""}, {"before ", " behind"}, {"s3cret", "s3cret"}, {"%", "%"}, {`\`, `"`}, {spelled, spelled}} {
			want := strings.ReplaceAll(around[0]+spelled+around[1], spelled, strings.Repeat("*", len(spelled)))
			if got := masked(m, around[0]+spelled+around[1]); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}
}

func TestAValueInBase64IsMaskedInEachAlignment(t *testing.T) {
	value := "\xfb\xff\xfehunter2hunter2\xfb\xff"
	m := maskerOf(value)
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 7 {
			for behind := range 4 {
				text := encoding.EncodeToString([]byte(strings.Repeat("a", before) + value + strings.Repeat("b", behind)))
				got := masked(m, text)
				begin, end := (8*before+5)/6, 8*(before+len(value))/6
				if want := text[:begin] + strings.Repeat("*", end-begin) + text[end:]; got != want {
					t.Errorf("%d before, %d behind: %q, want %q", before, behind, got, want)
				}
			}
		}
	}
}

func TestAShortValueIsMaskedAsItStandsAlone(t *testing.T) {
	m := maskerOf("hunter2", "%")
	for text, want := range map[string]string{
		"a hunter2, a hunter": "a *******, a hunter", "68756e74657232": "68756e74657232", "%68unter2 50%": "*68unter2 50*", "": "", "%": "*",
	} {
		if got := masked(m, text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestValuesThatOverlapAreBothMasked(t *testing.T) {
	m := maskerOf("abcdefgh", "fghijklm", "abcdefgh!")
	for text, want := range map[string]string{
		"abcdefghijklm":   "*************",
		"xabcdefgh!ijklm": "x*********ijklm",
		"abcdefgabcdefgh": "abcdefg********",
	} {
		if got := masked(m, text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestNothingToLookForIsNoMasker(t *testing.T) {
	if newMasker(nil) != nil || newMasker(map[string][]string{"KEY": nil}) != nil {
		t.Error("there is a masker for nothing")
	}
}

// read reads a body through a masker, in pieces as the reader gives them.
func read(m *masker, body io.Reader) (string, map[string]bool, error) {
	reader := newMaskingReader(io.NopCloser(body), &sweep{masker: m}, nil)
	text, err := io.ReadAll(reader)
	return string(text), reader.sweep.found, err
}

func TestABodyIsMaskedHoweverItIsCut(t *testing.T) {
	m := maskerOf(secretValue, "hunter2hunter2")
	for name, spelled := range spellings(t, secretValue) {
		body := "data: " + spelled + "\n\n" + spelled[:len(spelled)/2] + "hunter2hunter2" + spelled + `\u00`
		want := masked(m, body)
		for cut := range len(body) {
			got, found, err := read(m, io.MultiReader(strings.NewReader(body[:cut]), strings.NewReader(body[cut:])))
			if got != want || err != nil || !found["KEY0"] || !found["KEY1"] {
				t.Fatalf("%s, cut at %d: %q, want %q", name, cut, got, want)
			}
		}
		if got, _, _ := read(m, iotest.OneByteReader(strings.NewReader(body))); got != want {
			t.Errorf("%s, byte by byte: %q, want %q", name, got, want)
		}
	}
}

func TestABodyIsMaskedOverTheEndsOfWhatIsReadAtOnce(t *testing.T) {
	value := strings.Repeat("0123456789abcdef", 400)
	m := maskerOf(value)
	for _, before := range []int{0, pieceBytes - len(value), pieceBytes - 1, pieceBytes, 2*pieceBytes - len(value)/2} {
		body := strings.Repeat("x", before) + value + "y" + byteEscaped(value, "%%%02x") + "z" + value + byteEscaped(value, `\u%04x`)
		got, _, err := read(m, strings.NewReader(body))
		if want := strings.Repeat("x", before) + strings.Repeat("*", len(value)) + "y" + strings.Repeat("*", 3*len(value)) + "z" + strings.Repeat("*", 7*len(value)); got != want || err != nil {
			t.Errorf("%d before: %d bytes, want %d, %v", before, len(got), len(want), err)
		}
	}
}

func TestOnlyWhatMayBeAValueIsHeldBack(t *testing.T) {
	m := maskerOf("hunter2hunter2")
	for sent, want := range map[string]string{
		"data: x\n\n": "data: x\n\n", "data: hunter": "data: ", "data: hunter3": "data: hunter3", "50%": "50", "50%2": "50%2", "50%6": "50", "hunter2hunter2": "*******", "hunter2hunter2!": "**************!",
		`x\`: "x", `x\n`: `x\n`, `x\u00`: "x", `x\u01`: `x\u01`,
	} {
		input, output := io.Pipe()
		reader := newMaskingReader(input, &sweep{masker: m}, nil)
		go func() {
			_, _ = output.Write([]byte(sent))
			_ = output.CloseWithError(errors.New("later"))
		}()
		buffer := make([]byte, 100)
		n, err := reader.Read(buffer)
		if got := string(buffer[:n]); got != want || err != nil {
			t.Errorf("%q: at once comes %q, %v", sent, got, err)
		}
	}
}

func TestWhereBothSidesTalkInTurnsAMessageIsNotWaitedForAndAValueIsStillMasked(t *testing.T) {
	m := maskerOf("hunter2hunter2")
	for _, c := range []struct{ pieces, want []string }{
		{[]string{"yeah", "ok"}, []string{"yeah", "ok"}},
		{[]string{"hu", "nter2hunter2!"}, []string{"hu", "************!"}},
		{[]string{"hunt", "er2hunter2!"}, []string{"**************!"}},
		{[]string{"h", "u", "n", "ter2hunter2 hun", "t"}, []string{"h", "u", "n", "*********** hun", "t"}},
		{[]string{"hunter2hunter2", "hunter2!"}, []string{"*******", "**************!"}},
	} {
		input, output := io.Pipe()
		reader := newMaskingReader(input, &sweep{masker: m}, nil)
		reader.isEager = true
		go func() {
			for _, piece := range c.pieces {
				_, _ = io.WriteString(output, piece)
			}
			_ = output.Close()
		}()
		for _, want := range c.want {
			buffer := make([]byte, 100)
			if n, err := reader.Read(buffer); string(buffer[:n]) != want || err != nil {
				t.Errorf("%q: %q, %v, want %q", c.pieces, buffer[:n], err, want)
			}
		}
		if rest, err := io.ReadAll(reader); len(rest) > 0 || err != nil {
			t.Errorf("%q: then %q, %v", c.pieces, rest, err)
		}
	}
}

func TestWhatEndsAValueAndBeginsAnotherIsNotLetGo(t *testing.T) {
	input, output := io.Pipe()
	reader := newMaskingReader(input, &sweep{masker: maskerOf("abcdefghab")}, nil)
	reader.isEager = true
	go func() {
		_, _ = io.WriteString(output, "abcdefghab")
		_, _ = io.WriteString(output, "!")
		_ = output.Close()
	}()
	if text, err := io.ReadAll(reader); string(text) != "**********!" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

func TestTheEndOfABodyIsToldOnceWhetherItIsReadOrClosed(t *testing.T) {
	for _, readAll := range []bool{true, false} {
		ends := 0
		reader := newMaskingReader(io.NopCloser(strings.NewReader("body")), &sweep{masker: maskerOf("hunter2")}, func() { ends++ })
		if readAll {
			_, _ = io.ReadAll(reader)
		}
		_, _ = reader.Close(), reader.Close()
		if ends != 1 {
			t.Errorf("read: %t, told %d times", readAll, ends)
		}
	}
}

func TestWhatWasMaskedIsKnownWhenTheEndIsTold(t *testing.T) {
	const text = "a hunter2hunter2"
	for _, body := range []io.Reader{strings.NewReader(text), iotest.DataErrReader(strings.NewReader(text))} {
		sweep := &sweep{masker: maskerOf("hunter2hunter2")}
		var found []string
		reader := newMaskingReader(io.NopCloser(body), sweep, func() { found = sweep.names() })
		if _, err := io.ReadAll(reader); err != nil || len(found) != 1 {
			t.Error(found, err)
		}
	}
}

// FuzzMask: nothing of what was hidden is left, nothing else is changed, and neither depends on how a body is cut.
func FuzzMask(f *testing.F) {
	f.Add([]byte("hunter2hunter2"), []byte("a %68unter2hunter2 b"), uint64(1))
	f.Add([]byte(`%25\\u0025`), []byte(`%2525\u0025\\u0025`), uint64(2))
	f.Add([]byte("a b+c%d\\e"), []byte("a+b%2Bc%25d%5ce a+b"), uint64(3))
	f.Fuzz(func(t *testing.T, value, body []byte, seed uint64) {
		if len(value) == 0 || len(value) > 100 {
			return
		}
		m := maskerOf(string(value))
		whole := bytes.Clone(body)
		(&sweep{masker: m}).next(whole, true)
		if len(whole) != len(body) {
			t.Fatal("the length changes")
		}
		if !bytes.Contains(value, []byte("*")) && bytes.Contains(whole, value) {
			t.Fatalf("%q is left in %q", value, whole)
		}
		for i := range body {
			if whole[i] != body[i] && whole[i] != mask {
				t.Fatalf("%q becomes %q", body, whole)
			}
		}
		random := rand.New(rand.NewPCG(seed, 0))
		cut := &randomReader{bytes.NewReader(body), random}
		if got, _, err := read(m, cut); got != string(whole) || err != nil {
			t.Fatalf("cut: %q, whole: %q, %v", got, whole, err)
		}
		eager := newMaskingReader(io.NopCloser(&randomReader{bytes.NewReader(body), random}), &sweep{masker: m}, nil)
		eager.isEager = true
		got, err := io.ReadAll(eager)
		if len(got) != len(whole) || err != nil || len(value) > eagerBytes && !bytes.Contains(value, []byte("*")) && bytes.Contains(got, value) {
			t.Fatalf("in turns: %q, whole: %q, %v", got, whole, err)
		}
	})
}

// randomReader reads pieces of any length.
type randomReader struct {
	*bytes.Reader
	random *rand.Rand
}

func (r *randomReader) Read(to []byte) (int, error) {
	return r.Reader.Read(to[:min(len(to), 1+r.random.IntN(8))])
}

// BenchmarkMask is a body without a value, of text and of bytes.
func BenchmarkMask(b *testing.B) {
	binary := make([]byte, 1<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range binary {
		binary[i] = byte(random.Uint32())
	}
	line := `{"id":"chatcmpl-8x2k","object":"chat.completion","choices":[{"message":{"content":"A path such as \/v1\/files%2Fx"}}]}` + "\n"
	for name, body := range map[string][]byte{"binary": binary, "json": []byte(strings.Repeat(line, (1<<20)/len(line)))} {
		b.Run(name, func(b *testing.B) {
			m := maskerOf("sk-proj-abcdefghijklmnopqrstuvwxyz0123456789", "ghp_0123456789abcdefghijABCDEFGHIJ")
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				(&sweep{masker: m}).next(body, false)
			}
		})
	}
}
