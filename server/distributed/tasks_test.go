package distributed_test

import (
	"strings"
	"testing"

	"muster/server/distributed"
)

func TestTasksOmitRowsOverTheBudget(t *testing.T) {
	each(t, 6, func(t *testing.T, f *fleet) {
		id := f.launch(t)
		large := strings.Repeat("x", 7<<20)
		for host, value := range map[int64]string{1: large, 2: large, 3: large, 4: "small"} {
			f.claim(t, host)
			f.answer(t, host, rows(id, value))
		}
		f.claim(t, 5)
		f.answer(t, 5, rows(id))
		tasks := func(filter distributed.TaskFilter) []distributed.Task {
			filter.QueryID = id
			found, count, err := f.Tasks(t.Context(), filter)
			if err != nil || count != 6 {
				t.Fatalf("%d %v", count, err)
			}
			return found
		}
		bytes := 0
		for _, task := range tasks(distributed.TaskFilter{}) {
			if omitted := task.HostID == 3; task.RowsOmitted != omitted || (len(task.Rows) == 0) != omitted {
				t.Errorf("host %d: %d bytes, omitted %v", task.HostID, len(task.Rows), task.RowsOmitted)
			}
			bytes += len(task.Rows)
		}
		if bytes > 16<<20 || bytes < 14<<20 {
			t.Errorf("a page has %d bytes", bytes)
		}
		alone := tasks(distributed.TaskFilter{Start: 2, Limit: 1})
		if len(alone) != 1 || alone[0].HostID != 3 || alone[0].RowsOmitted || len(alone[0].Rows) < len(large) {
			t.Error("a task on a page of its own comes without its rows")
		}
		for _, task := range tasks(distributed.TaskFilter{WithoutRows: true}) {
			if task.RowsOmitted || len(task.Rows) > 0 {
				t.Errorf("rows that nobody asked for: %+v", task.HostID)
			}
		}
		f.exec(t, "UPDATE live_tasks SET rows = ? WHERE host_id = 1", `["`+strings.Repeat("x", 17<<20)+`"]`)
		if alone = tasks(distributed.TaskFilter{Limit: 1}); alone[0].RowsOmitted || len(alone[0].Rows) < 17<<20 {
			t.Error("rows over the budget cannot be fetched alone")
		}
	})
}
