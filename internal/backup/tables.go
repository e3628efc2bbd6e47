package backup

import (
	"context"
	"database/sql"
	"strings"

	"github.com/coldkeep/coldkeep"
)

// table is one of a database.
type table struct {
	name    string
	columns []string
	kinds   []kind
}

// queryer is a database or a transaction on it.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// versionTable is the end of the names of the tables that count migrations.
const versionTable = "_version"

// tables lists the tables in the order of their names, and the versions of the components.
func tables(ctx context.Context, q queryer, postgres bool) (list []table, versions map[string]int64, err error) {
	names := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`
	columns := `SELECT name, type FROM pragma_table_info($1) ORDER BY cid`
	if postgres {
		names = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name`
		columns = `SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position`
	}
	versions = map[string]int64{}
	all, err := pairs(ctx, q, `SELECT n.name, '' FROM (`+strings.Replace(names, "table_name FROM", "table_name AS name FROM", 1)+`) n`)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range all {
		name := n[0]
		if component, ok := strings.CutSuffix(name, versionTable); ok {
			at, err := number(ctx, q, `SELECT COALESCE(MAX(version_id), 0) FROM `+quote(name))
			if err != nil {
				return nil, nil, err
			}
			versions[component] = at
			continue
		}
		t := table{name: name}
		info, err := pairs(ctx, q, columns, name)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range info {
			k, ok := kindOf(c[1])
			if !ok {
				return nil, nil, coldkeep.Errorf(coldkeep.EINTERNAL, "column %s of table %s is of type %s, which a backup cannot keep", c[0], name, c[1])
			}
			t.columns, t.kinds = append(t.columns, c[0]), append(t.kinds, k)
		}
		list = append(list, t)
	}
	return list, versions, nil
}

func kindOf(sqlType string) (kind, bool) {
	switch strings.ToUpper(sqlType) {
	case "TEXT":
		return kindText, true
	case "BIGINT", "INTEGER":
		return kindInteger, true
	case "DOUBLE PRECISION", "REAL":
		return kindReal, true
	case "BYTEA", "BLOB":
		return kindBytes, true
	}
	return "", false
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}

func pairs(ctx context.Context, q queryer, query string, args ...any) ([][2]string, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, failed(err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	var out [][2]string
	for rows.Next() {
		var p [2]string
		if err := rows.Scan(&p[0], &p[1]); err != nil {
			return nil, failed(err)
		}
		out = append(out, p)
	}
	return out, failed(rows.Err())
}

func number(ctx context.Context, q queryer, query string) (n int64, err error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return 0, failed(err)
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			return 0, failed(err)
		}
	}
	return n, failed(rows.Err())
}

func failed(err error) error { return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "backup", "database") }
