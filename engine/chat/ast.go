package chat

// The tree that the parser makes and the evaluator walks. Names are numbers: the position in Template.names.

type nameID int32

// expr is an expression; eval never returns nil.
type expr interface{ eval(e *evaluator) Value }

// stmt is a statement; exec says how control leaves it.
type stmt interface{ exec(e *evaluator) flow }

type flow uint8

const (
	flowNext flow = iota
	flowBreak
	flowContinue
)

type (
	constExpr struct{ v Value }
	nameExpr  struct {
		id   nameID
		name string
	}
	listExpr struct {
		items []expr
		kind  listKind
	}
	dictExpr struct{ keys, vals []expr }
	attrExpr struct {
		obj  expr
		name string
	}
	itemExpr  struct{ obj, key expr }
	sliceExpr struct{ obj, from, to, step expr } // each bound may be nil
	callExpr  struct {
		fn   expr
		args argList
	}
	filterExpr struct {
		in   expr // nil for the body of a filter block, taken from the evaluator's piped value
		name string
		f    *filter // nil: unknown, an error when it is reached
		args argList
	}
	testExpr struct {
		in   expr
		name string
		t    *test // nil: unknown
		args argList
	}
	notExpr    struct{ x expr }
	negExpr    struct{ x expr }
	posExpr    struct{ x expr }
	binaryExpr struct {
		op   binaryOp
		a, b expr
	}
	concatExpr struct{ parts []expr }
	logicExpr  struct { // and, or: the first operand whose truth decides
		or    bool
		parts []expr
	}
	compareExpr struct {
		first expr
		rest  []comparison
	}
	condExpr struct{ cond, then, els expr } // els may be nil
)

type comparison struct {
	op compareOp
	x  expr
}

// argList is the arguments of a call as written.
type argList struct {
	pos      []expr
	names    []string // of kw
	kw       []expr
	star     expr // *args, or nil
	starStar expr // **kwargs, or nil
}

type (
	textStmt   struct{ text string }
	outputStmt struct {
		x    expr
		line int
	}
	ifStmt struct {
		branches []branch
		els      []stmt
	}
	branch struct {
		cond expr
		body []stmt
		line int
	}
	forStmt struct {
		target    target
		iter      expr
		filter    expr // nil: none
		body, els []stmt
		loopID    nameID
		recursive bool
		captures  bool // a function made in the body may outlive the iteration
		line      int
	}
	setStmt struct {
		target target
		x      expr
		line   int
	}
	setBlockStmt struct {
		target target
		filter expr // chain over the captured text, or nil
		body   []stmt
		line   int
	}
	macroStmt struct {
		id   nameID
		m    *macroDef
		line int
	}
	callStmt struct {
		call   *callExpr
		caller *macroDef
		line   int
	}
	filterStmt struct {
		filter expr
		body   []stmt
		line   int
	}
	withStmt struct {
		targets []target
		vals    []expr
		body    []stmt
		line    int
	}
	scopeStmt struct{ body []stmt } // generation
	flowStmt  struct{ f flow }
)

// target is what an assignment assigns to: a name, an attribute of a namespace, or a tuple of targets.
type target struct {
	id    nameID
	name  string
	attr  string   // not empty: name.attr
	parts []target // not nil: unpacking
}

// macroDef is a macro, or the body of a call block.
type macroDef struct {
	name                               string
	params                             []macroParam
	body                               []stmt
	usesCaller, usesVarargs, usesKwarg bool
	callerID, varargsID, kwargsID      nameID
}

type macroParam struct {
	id   nameID
	name string
	def  expr // nil: none
}
