package kernel

// archTables returns the variants of this architecture, best first.
func archTables() []*Table { return []*Table{vnniTable(), avxvnniTable(), avx2Table()} }
