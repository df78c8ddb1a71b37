// Package chat turns a conversation into the text a model was trained to read.
//
// Models carry a chat template, a program in the Jinja2 language. This package is an interpreter for the part of Jinja2 that
// such templates use, with the settings of Hugging Face's apply_chat_template: trim_blocks, lstrip_blocks, the loopcontrols
// extension, the immutable sandbox, no autoescaping, and the extra names tojson, raise_exception, strftime_now and generation.
//
// A template is hostile input. Values are this package's own types, so no Go value and no method of one is reachable; there is
// no include, import, extends, file or clock access; every value is immutable except namespace objects. Each render runs on a
// budget of steps, output bytes, nesting and time (see Limits), and ends in an error when one is used up.
//
// Differences from Jinja2 that a template can see:
//   - integers are 64 bits wide; arithmetic that leaves the range is an error. Larger integers in JSON input keep their digits
//     and can be printed and compared for equality, not calculated with;
//   - there is no Markup type: safe returns its input, escape returns an ordinary string, and neither makes + escape anything;
//   - map, select and their kin are evaluated at once instead of on demand. Their result is still consumed by reading it;
//   - upper and lower use the simple case mapping of Unicode, plus the German sharp s;
//   - not there: include, import, from, extends, block, autoescape, the filters pprint, random, striptags, urlencode, urlize,
//     xmlattr, filesizeformat and wordwrap, the functions cycler, joiner and lipsum.
package chat
