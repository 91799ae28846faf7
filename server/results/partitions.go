package results

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"muster/server/database"
	"muster/server/fault"
)

// daysAhead is how many days after today have their partitions made already: so
// long may the making fail before rows fall into the default partition.
const daysAhead = 3

// partitionLock is the advisory lock under which replicas change partitions.
const partitionLock = 0x6d757374657201

// lockWait is how long a change of partitions waits for readers of the table.
// Writers queue behind it meanwhile, so it gives up soon and is tried again.
const lockWait = "2s"

// Codes of PostgreSQL's errors.
const (
	lockNotAvailable = "55P03"
	checkViolation   = "23514"
)

// partitioned is a table with a partition for each day.
type partitioned struct {
	table, column string
	bound         func(day int64) int64 // the first value of column on that day
}

func partitionedTables() []partitioned {
	sameDay := func(day int64) int64 { return day }
	return []partitioned{
		{"results", "received_at", dayStart},
		{"status_logs", "received_at", dayStart},
		{"result_lines", "day", sameDay},
	}
}

// name of the partition of a day, such as results_p20261121.
func (p partitioned) name(day int64) string {
	return p.table + "_p" + time.Unix(day*daySeconds, 0).UTC().Format("20060102")
}

// day reads the day out of a partition's name; false for the default partition
// and for those that somebody else made.
func (p partitioned) day(name string) (int64, bool) {
	at, err := time.Parse(p.table+"_p20060102", name)
	return dayOf(at), err == nil
}

// EnsurePartitions makes the partitions of today and the three days to come, if
// they are missing. Call it before rows arrive and then at least daily; several
// replicas may call it at once. A day whose rows are in the default partition
// already stays there. On SQLite it does nothing. Faults: Busy when a table is
// locked for too long or the database cannot be reached.
func (s *Store) EnsurePartitions(ctx context.Context) error {
	if s.db.Engine() != database.Postgres {
		return nil
	}
	today := dayOf(s.o.Now())
	for _, table := range partitionedTables() {
		for day := today; day <= today+daysAhead; day++ {
			if err := s.ensurePartition(ctx, table, day); err != nil {
				return database.Fault(err)
			}
		}
	}
	return nil
}

func (s *Store) ensurePartition(ctx context.Context, p partitioned, day int64) error {
	exists, taken := false, false
	err := s.alone(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", p.name(day)).Scan(&exists); err != nil || exists {
			return err
		}
		from, to := p.bound(day), p.bound(day+1)
		// The default partition is searched before it is locked for the new one.
		search := fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM %s_default WHERE %s >= $1 AND %s < $2)", p.table, p.column, p.column)
		if err := tx.QueryRow(ctx, search, from, to).Scan(&taken); err != nil || taken {
			return err
		}
		// Attaching locks less of the table than making the partition in place.
		_, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE %[1]s (LIKE %[2]s INCLUDING ALL);
			ALTER TABLE %[2]s ATTACH PARTITION %[1]s FOR VALUES FROM (%[3]d) TO (%[4]d)`, p.name(day), p.table, from, to))
		return err
	})
	if taken || stateOf(err) == checkViolation {
		s.log.Warn("a day stays in the default partition, where its rows are already", "table", p.table, "partition", p.name(day))
		return nil
	}
	return err
}

// alone runs fn in a transaction that no other replica runs at the same time and
// that gives up, with Busy, when a table cannot be locked soon.
func (s *Store) alone(ctx context.Context, fn func(tx pgx.Tx) error) error {
	err := pgx.BeginFunc(ctx, s.db.Pool(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(partitionLock)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+lockWait+"'"); err != nil {
			return err
		}
		return fn(tx)
	})
	if stateOf(err) == lockNotAvailable {
		return fault.Wrap(err, fault.Busy, "A table is in use and could not be changed")
	}
	return err
}

// stateOf is PostgreSQL's code of the error, such as 23514; empty for others.
func stateOf(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}
