package kernel

import "kvasir/quant"

// wordFormat is how an AVX2 matrix product of a type with signed codes goes through panels of words
// (_asm/matmul_words.go).
type wordFormat struct {
	unpack func(dst, w *byte, rowBytes, nBlocks int, ahead *byte) // decodes eight rows
	mul    func(dst *float32, stride int, panel *byte, x *int16, d *float32, dStride, nBlocks, first int)
}

var avx2Words = [quant.NTypes]wordFormat{
	quant.Q8_0:   {wordsUnpackQ8_0, avx2MulWords32},
	quant.IQ4_NL: {wordsUnpackIQ4NL, avx2MulWords32},
	quant.IQ4_XS: {wordsUnpackIQ4XS, avx2MulWords256},
}

// wordsK is the length of a panel of words and of the columns that it meets: 16 rows of it fill half of the first cache.
const wordsK = 512

// wordRecordBytes is the size of a block of a panel.
func wordRecordBytes(shape quant.IntShape) int { return 16*2*shape.BlockSize + 16*4 }

// matMul takes a stretch of wordsK values of as many columns as the scratch memory holds as words, then all rows through
// them, 16 at a time. What has fewer rows, or fewer than four columns, goes to small.
func (p *wordFormat) matMul(t quant.Type, small MatMulFunc) MatMulFunc {
	geo := t.Geometry()
	shape, _ := t.IntShape()
	blocks := wordsK / shape.BlockSize // per panel
	return func(dst []float32, stride int, w []byte, rows int, x *Acts, col, nCols int, s *Scratch) {
		rowBytes := x.K / geo.BlockSize * geo.BlockBytes
		if rows < 16 || nCols < 4 || rowBytes == 0 {
			small(dst, stride, w, rows, x, col, nCols, s)
			return
		}
		w, dst = w[:rows*rowBytes], dst[:(nCols-1)*stride+rows]
		m := wordMul{wordFormat: p, k: x.K, size: shape.BlockSize, bytes: geo.BlockBytes, rowBytes: rowBytes, stride: stride}
		m.q, m.d = x.Q32, x.D32
		if geo.Partner == quant.Partner256 {
			m.q, m.d = x.Q256, x.D256
		}
		_, _ = m.q[(col+nCols)*x.K-1], m.d[(col+nCols)*x.K/shape.BlockSize-1] // the columns exist
		var mem []byte
		m.panel, mem = cut[byte](s.Bytes, blocks*wordRecordBytes(shape))
		m.edge, mem = cut[float32](mem, 4*16)
		most := len(mem) / (2 * wordsK) &^ 3 // columns at a time
		m.words, _ = cut[int16](mem, most*wordsK)
		parts := (nCols + most - 1) / most
		n := ((nCols+parts-1)/parts + 3) &^ 3
		for c := 0; c < nCols; c += n {
			c := min(c, nCols-4) // the last four columns may be computed twice, with equal results
			m.columns(dst[c*stride:], w, rows&^15, col+c, min(n, nCols-c), blocks)
			if rows%16 != 0 { // and so may the last rows
				m.columns(dst[c*stride+rows-16:], w[(rows-16)*rowBytes:], 16, col+c, min(n, nCols-c), blocks)
			}
		}
	}
}

// wordMul is one product.
type wordMul struct {
	*wordFormat
	k, size, bytes   int // of a column, values and bytes of a block
	rowBytes, stride int
	q                []int8
	d                []float32
	panel            []byte
	words            []int16   // columns wordsK apart
	edge             []float32 // outputs of four columns
}

// columns computes rows, a multiple of 16, times n columns from col.
func (m *wordMul) columns(dst []float32, w []byte, rows, col, n, blocks int) {
	nBlocks := m.k / m.size
	for b := 0; b < nBlocks; b += blocks {
		nb := min(blocks, nBlocks-b)
		for c := range n {
			avx2Widen(&m.words[c*wordsK], &m.q[(col+c)*m.k+b*m.size], nb*m.size/32)
		}
		for r := 0; r < rows; r += 16 {
			at := r*m.rowBytes + b*m.bytes
			ahead := at // where the next 16 rows, or their next blocks, lie
			if r+32 <= rows {
				ahead += 16 * m.rowBytes
			} else if b+nb < nBlocks {
				ahead = (b + nb) * m.bytes
			}
			for h := 0; h < 16; h += 8 {
				m.unpack(&m.panel[4*h], &w[at+h*m.rowBytes], m.rowBytes, nb, &w[ahead+h*m.rowBytes])
			}
			c := 0
			for ; c+4 <= n; c += 4 {
				m.add(dst[c*m.stride+r:], m.stride, c, col, b, nb)
			}
			if c < n { // four columns again, of which the last few are new
				for i := c; i < n; i++ {
					copy(m.edge[(i-n+4)*16:][:16], dst[i*m.stride+r:])
				}
				m.add(m.edge, 16, n-4, col, b, nb)
				for i := c; i < n; i++ {
					copy(dst[i*m.stride+r:], m.edge[(i-n+4)*16:][:16])
				}
			}
		}
	}
}

// add adds nb blocks from block b to the products of four columns, the first of them c from col.
func (m *wordMul) add(dst []float32, stride, c, col, b, nb int) {
	first := 0
	if b == 0 {
		first = 1
	}
	nBlocks := m.k / m.size
	m.mul(&dst[0], stride, &m.panel[0], &m.words[c*wordsK], &m.d[(col+c)*nBlocks+b], nBlocks, nb, first)
}
