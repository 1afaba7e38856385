// Answers what BuildKit makes of Dockerfiles and words: one JSON request a line, one answer a line. It is the oracle of
// test/fixtures/dockerfile/buildkit.jsonl; README.md says how to build it.
package main

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

type request struct {
	Op     string // parse, word
	Text   string
	Env    []string
	Escape string
	Skip   bool
}

type heredoc struct {
	Name          string
	Expand, Chomp bool
	Content       string
}

type node struct {
	Word       string
	Flags      []string
	Heredocs   []heredoc
	Start, End int
	Text       string
}

func parse(text string, answer map[string]any) {
	result, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		answer["error"] = err.Error()
		return
	}
	nodes := []node{}
	for _, n := range result.AST.Children {
		each := node{Word: n.Value, Flags: append([]string{}, n.Flags...), Heredocs: []heredoc{}, Start: n.StartLine, End: n.EndLine, Text: n.Original}
		for _, h := range n.Heredocs {
			each.Heredocs = append(each.Heredocs, heredoc{h.Name, h.Expand, h.Chomp, h.Content})
		}
		nodes = append(nodes, each)
	}
	answer["nodes"] = nodes
	answer["escape"] = string(result.EscapeToken)
}

func word(q request, answer map[string]any) {
	lex := shell.NewLex([]rune(q.Escape)[0])
	lex.SkipUnsetEnv = q.Skip
	text, _, err := lex.ProcessWord(q.Text, shell.EnvsFromSlice(q.Env))
	if err != nil {
		answer["error"] = err.Error()
		return
	}
	answer["word"] = text
}

func main() {
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var q request
		if err := in.Decode(&q); err != nil {
			return
		}
		answer := map[string]any{}
		if q.Op == "parse" {
			parse(q.Text, answer)
		} else {
			word(q, answer)
		}
		out.Encode(answer)
	}
}
