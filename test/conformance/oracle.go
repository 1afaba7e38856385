// What real Go makes of a template: one JSON case per line in, one JSON answer per line out, in order.
//
//	{"template": "{{.a}}", "data": "{\"a\":1}", "decode": "number", "missingKey": "error"}
//	{"output": "1"}  or  {"error": "template: …"}
//
// The functions are those that Docker's command line adds to templates; "typed" is explained in
// test/inspect/conformance/README.md. fuzz.mjs builds and drives it.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/template"
	"unicode/utf8"
)

type question struct {
	Template   string `json:"template"`
	Data       string `json:"data"`
	Decode     string `json:"decode"`
	MissingKey string `json:"missingKey"`
}

type answer struct {
	Output *string `json:"output,omitempty"`
	Error  *string `json:"error,omitempty"`
	// The answer is not text: nothing to compare.
	Binary bool `json:"binary,omitempty"`
}

var functions = template.FuncMap{
	"json": func(value interface{}) string {
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(value); err != nil {
			panic(err)
		}
		return strings.TrimSpace(out.String())
	},
	"split": strings.Split,
	"join":  strings.Join,
	"title": strings.Title,
	"lower": strings.ToLower,
	"upper": strings.ToUpper,
	"pad": func(text string, before, after int) string {
		if text == "" {
			return text
		}
		return strings.Repeat(" ", before) + text + strings.Repeat(" ", after)
	},
	"truncate": func(text string, length int) string {
		if len(text) < length {
			return text
		}
		return text[:length]
	},
}

var errTooLong = errors.New("more output than anybody compares")

// bounded ends a template that prints without end.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > 1<<20 {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}

func ask(q question) answer {
	decoder := json.NewDecoder(strings.NewReader(q.Data))
	if q.Decode != "float64" {
		decoder.UseNumber()
	}
	var data interface{}
	if err := decoder.Decode(&data); err != nil {
		return failed(err)
	}
	if q.Decode == "typed" {
		data = typed(data)
	}
	parsed, err := template.New("").Funcs(functions).Parse(q.Template)
	if err != nil {
		return failed(err)
	}
	var out bounded
	if err := parsed.Option("missingkey="+q.MissingKey).Execute(&out, data); err != nil {
		return failed(err)
	}
	return said(out.String(), false)
}

func failed(err error) answer {
	if errors.Is(err, errTooLong) {
		return answer{Binary: true}
	}
	return said(err.Error(), true)
}

func said(text string, isError bool) answer {
	switch {
	case !utf8.ValidString(text):
		return answer{Binary: true}
	case isError:
		return answer{Error: &text}
	default:
		return answer{Output: &text}
	}
}

func typed(value interface{}) interface{} {
	switch value := value.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(string(value), 10, 64); err == nil {
			return int(i)
		}
		f, _ := value.Float64()
		return f
	case []interface{}:
		strs := make([]string, 0, len(value))
		out := make([]interface{}, 0, len(value))
		for _, item := range value {
			if s, ok := item.(string); ok {
				strs = append(strs, s)
			}
			out = append(out, typed(item))
		}
		if len(value) > 0 && len(strs) == len(value) {
			return strs
		}
		return out
	case map[string]interface{}:
		strs := map[string]string{}
		out := map[string]interface{}{}
		for key, item := range value {
			if s, ok := item.(string); ok {
				strs[key] = s
			}
			out[key] = typed(item)
		}
		if len(value) > 0 && len(strs) == len(value) {
			return strs
		}
		return out
	default:
		return value
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := encoder.Encode(ask(q)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
