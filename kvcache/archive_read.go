package kvcache

import "io"

// archiveSink gets what an archive holds, piece by piece and checked, before the archive has been read to its end. Nil functions
// get nothing.
type archiveSink struct {
	record func(kind uint8, payload []byte) error     // of the journal, the first one (SESSION) excepted
	block  func(info *Archive, b *archiveBlock) error // of the path, in order
}

// archiveBody reads an archive behind its head.
type archiveBody struct {
	*archiveReader
	info    *Archive
	replay  replay
	path    archivePath
	settled int // turns whose text is forgotten
}

// CheckArchive reads an archive to its end and compares everything in it that can be compared without the model. In memory are its
// token ids and one block. The error wraps ErrArchive, or is that of r.
func CheckArchive(r io.Reader) (*Archive, error) {
	b, err := openArchive(r)
	if err != nil {
		return nil, err
	}
	return b.info, b.rest(archiveSink{})
}

// openArchive reads the head of an archive and the section behind it, which says what it is.
func openArchive(r io.Reader) (*archiveBody, error) {
	a, kind, created, err := newArchiveReader(r)
	if err != nil {
		return nil, err
	}
	b := &archiveBody{archiveReader: a, info: &Archive{Kind: kind, Created: created}, replay: replay{c: &Conversation{}, open: noTurn}}
	tag, err := a.next()
	if err != nil {
		return nil, err
	}
	if kind == PrefixPack {
		if tag != tagText {
			return nil, a.errorf("expected a section %q first", tagText)
		}
		text, err := a.all(nil, maxArchiveText)
		b.info.Text = string(text)
		return b, err
	}
	if tag != tagRecord {
		return nil, a.errorf("expected a section %q first", tagRecord)
	}
	return b, b.record(nil)
}

// rest reads the remaining sections: records, META, blocks, the end.
func (b *archiveBody) rest(sink archiveSink) error {
	defer b.path.close()
	for {
		tag, err := b.next()
		if err != nil {
			return err
		}
		switch {
		case tag == tagRecord && b.info.Kind == SessionArchive && b.path.lay == nil:
			err = b.record(sink.record)
		case tag == tagMeta && b.path.lay == nil:
			err = b.meta()
		case tag == tagBlock && b.path.lay != nil:
			var block *archiveBlock
			if block, err = b.path.next(b.archiveReader); err == nil && sink.block != nil {
				err = sink.block(b.info, block)
			}
			b.info.KVTokens = b.path.n
		case tag == tagDone && (b.path.lay != nil && b.path.n > 0 || b.path.lay == nil && b.info.Kind == SessionArchive):
			return b.finish()
		default:
			err = b.errorf("not expected here")
		}
		if err != nil {
			return err
		}
	}
}

// finish reads the end.
func (b *archiveBody) finish() error {
	if b.path.lay == nil {
		if err := b.ids(); err != nil {
			return err
		}
	}
	if err := b.done(); err != nil {
		return err
	}
	if b.info.Kind == PrefixPack {
		b.info.Tokens = b.path.n
	}
	b.info.Bytes = b.bytes
	return nil
}

// record reads one record of the journal. The first one must be SESSION, and only that.
func (b *archiveBody) record(sink func(kind uint8, payload []byte) error) error {
	rec, err := b.all(nil, 1+maxRecordBytes)
	if err != nil {
		return err
	}
	if len(rec) == 0 {
		return b.errorf("no record in it")
	}
	kind, body := rec[0], rec[1:]
	first := b.info.Session == ""
	if (kind == recSession) != first || kind < recSession || kind > recEdit {
		return b.errorf("record of type %d, which is not expected here", kind)
	}
	c, p := b.replay.c, payload{b: body}
	b.replay.apply(kind, &p)
	switch {
	case p.bad || len(p.b) > 0:
		return b.errorf("record of type %d does not parse", kind)
	case c.Damaged:
		return b.errorf("record of type %d: the turn's tokens are not those of its digest", kind)
	case len(c.forgotten) > 0:
		return b.errorf("record of type %d forgets turns", kind)
	}
	// What was said is not needed any more, only its tokens.
	settled := len(c.Turns)
	if b.replay.open >= 0 {
		settled = b.replay.open
		b.replay.text = b.replay.text[:0]
	}
	for ; b.settled < settled; b.settled++ {
		c.Turns[b.settled].Text = ""
	}
	b.info.Session, b.info.Model, b.info.Turns = c.Name, c.Model.Name, len(c.Turns)
	if first || sink == nil {
		return nil
	}
	return sink(kind, body)
}

// ids ends the journal: it says what the path is.
func (b *archiveBody) ids() error {
	ids := b.replay.c.IDs()
	for i, id := range ids {
		if id < 0 {
			return b.errorf("token %d of the conversation is %d", i, id)
		}
	}
	b.path.ids, b.info.Tokens = ids, len(ids)
	return nil
}

// meta reads what the blocks that follow are rows of.
func (b *archiveBody) meta() error {
	raw, err := b.all(nil, maxMetaBytes)
	if err != nil {
		return err
	}
	fp, recipe, inputs, err := decodeMeta(raw)
	if err != nil {
		return b.errorf("%w", err)
	}
	lay, err := decodeRecipe(recipe)
	if err != nil {
		return b.errorf("%w", err)
	}
	if !lay.storable {
		return b.errorf("rows in a format that is not stored")
	}
	if b.info.Kind == SessionArchive {
		if err := b.ids(); err != nil {
			return err
		}
		if fp != b.replay.c.Model.Fingerprint {
			return b.errorf("rows of model %x..., the conversation is held with %x...", fp[:8], b.replay.c.Model.Fingerprint[:8])
		}
	}
	b.path.lay, b.path.fp, b.path.grows = lay, fp, b.info.Kind == PrefixPack
	b.path.last = rootHash(fp, lay.recipeHash, nil)
	b.info.Fingerprint, b.info.Inputs, b.info.Geometry = fp, inputs, lay.geometry
	return nil
}
