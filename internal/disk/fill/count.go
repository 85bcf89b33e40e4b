package fill

import (
	"errors"
	"strconv"
	"text/template/parse"
)

// step is the function that is called where a template may come by again: by a loop, or as a
// template that others call. It says nothing.
const step = "hearth_step"

func (f *Filler) step(nodes int) (string, error) {
	if f.steps -= nodes; f.steps < 0 || nodes < 0 {
		return "", errors.New("the templates of the overlay take too many steps: a loop is too long")
	}
	return "", nil
}

// count puts calls of step into a template and the bodies of its loops.
func count(t *parse.Tree) {
	if t != nil && t.Root != nil {
		begin(t.Root, size(t.Root))
	}
}

// begin has a list begin with a call that counts its nodes.
func begin(list *parse.ListNode, nodes int) {
	call := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: list.Pos, Args: []parse.Node{
		parse.NewIdentifier(step).SetPos(list.Pos),
		&parse.NumberNode{NodeType: parse.NodeNumber, Pos: list.Pos, IsInt: true, Int64: int64(nodes), Text: strconv.Itoa(nodes)},
	}}
	pipe := &parse.PipeNode{NodeType: parse.NodePipe, Pos: list.Pos, Cmds: []*parse.CommandNode{call}}
	list.Nodes = append([]parse.Node{&parse.ActionNode{NodeType: parse.NodeAction, Pos: list.Pos, Pipe: pipe}}, list.Nodes...)
}

// size is how many nodes are in one, which loops begin anew.
func size(node parse.Node) int {
	switch n := node.(type) {
	case *parse.ListNode:
		sum := 1
		if n != nil {
			for _, inner := range n.Nodes {
				sum += size(inner)
			}
		}
		return sum
	case *parse.ActionNode:
		return pipe(n.Pipe)
	case *parse.TemplateNode:
		return pipe(n.Pipe)
	case *parse.IfNode:
		return branch(&n.BranchNode)
	case *parse.WithNode:
		return branch(&n.BranchNode)
	case *parse.RangeNode:
		body := size(n.List)
		begin(n.List, body)
		return pipe(n.Pipe) + body + size(n.ElseList)
	case *parse.PipeNode:
		return pipe(n)
	}
	return 1
}

func branch(n *parse.BranchNode) int {
	return pipe(n.Pipe) + size(n.List) + size(n.ElseList)
}

func pipe(n *parse.PipeNode) int {
	sum := 1
	if n != nil {
		for _, command := range n.Cmds {
			for _, arg := range command.Args {
				sum += size(arg)
			}
		}
	}
	return sum
}
