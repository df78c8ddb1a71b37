package chat

// Message is one message of a conversation. Empty fields other than Role and Content are not shown to the template.
type Message struct {
	Role             string // "system", "user", "assistant" or "tool"; templates may know others
	Content          string
	ReasoningContent string // thinking that belongs to an assistant message
	Name             string // of the tool that answers
	ToolCallID       string // that a tool message answers
	ToolCalls        []ToolCall
	Extra            *Map // further keys; they win over the fields above
}

// ToolCall is a call of a function by the model. Arguments is normally a *Map: most templates iterate over it.
type ToolCall struct {
	ID, Name  string
	Arguments Value
}

// Conversation is what a prompt is made from.
type Conversation struct {
	Messages            []Message
	Tools               Value // list of tool descriptions in the form of the OpenAI API; nil: none
	AddGenerationPrompt bool  // end with what introduces the model's answer
	BOS, EOS            string
	Extra               Vars // further variables, e.g. enable_thinking; they win over the fields above
}

// Prompt renders a conversation. The text normally holds the BOS token already: the caller tokenizes it with special tokens
// recognised and adds none. Errors are those of Render.
func (t *Template) Prompt(c *Conversation, opts Options) (string, error) {
	return t.Render(c.vars(), opts)
}

// vars gives the variables by the names that Hugging Face uses. Tools that are not there are left undefined: templates that ask
// handle that, while some that do not ask fail on none.
func (c *Conversation) vars() Vars {
	messages := make([]Value, len(c.Messages))
	for i := range c.Messages {
		messages[i] = c.Messages[i].value()
	}
	v := NewMap().
		Set("messages", NewList(messages...)).
		Set("add_generation_prompt", Bool(c.AddGenerationPrompt)).
		Set("bos_token", NewString(c.BOS)).
		Set("eos_token", NewString(c.EOS))
	if c.Tools != nil {
		v.Set("tools", c.Tools)
	}
	v.merge(c.Extra)
	return v
}

func (m *Message) value() Value {
	v := NewMap().Set("role", NewString(m.Role)).Set("content", NewString(m.Content))
	for _, f := range [...]struct{ key, text string }{
		{"reasoning_content", m.ReasoningContent}, {"name", m.Name}, {"tool_call_id", m.ToolCallID},
	} {
		if f.text != "" {
			v.Set(f.key, NewString(f.text))
		}
	}
	if len(m.ToolCalls) > 0 {
		calls := make([]Value, len(m.ToolCalls))
		for i, c := range m.ToolCalls {
			calls[i] = NewMap().
				Set("id", NewString(c.ID)).
				Set("type", String("function")).
				Set("function", NewMap().Set("name", NewString(c.Name)).Set("arguments", c.Arguments))
		}
		v.Set("tool_calls", NewList(calls...))
	}
	v.merge(m.Extra)
	return v
}

// merge sets the keys of src.
func (m *Map) merge(src *Map) {
	for i := range src.Len() {
		m.set(src.keys[i], src.vals[i])
	}
}
