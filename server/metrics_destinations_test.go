package main

import (
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"muster/server/alerts"
	"muster/server/bus"
	"muster/server/database"
	"muster/server/database/dbtest"
	"muster/server/hosts"
	"muster/server/outputs"
	"muster/server/results"
	"muster/server/seal"
)

func TestLagsAreShown(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *database.DB) {
		hints, log := bus.NewMemory(), slog.New(slog.DiscardHandler)
		box, err := seal.New(make([]byte, seal.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		d := outputs.NewDestinations(outputs.DestinationDeps{
			DB: db, Box: box, Hosts: hosts.New(db, hints, log, hosts.Options{}), Results: results.New(db, hints, log, results.Options{}), Alerts: alerts.New(db), Bus: hints, Log: log,
		}, outputs.DestinationOptions{Folder: t.TempDir()})
		for name, active := range map[string]bool{"siem": true, "off": false} {
			_, err := d.Add(t.Context(), outputs.NewDestination{
				Name: name, Kind: "file", Streams: []outputs.Stream{outputs.StreamAlerts}, Active: active, Settings: map[string]any{"path": name},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Write(t.Context()).Exec("UPDATE destination_cursors SET delivered = 7, missed = 2").Error; err != nil {
			t.Fatal(err)
		}
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(lags{d})
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				labels := m.GetLabel()
				series := family.GetName() + " " + labels[0].GetValue() + " " + labels[1].GetValue()
				got[series] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		want := map[string]float64{
			"muster_destination_behind_rows siem alerts": 0, "muster_destination_behind_seconds siem alerts": 0, "muster_destination_failing_seconds siem alerts": 0,
			"muster_destination_delivered_rows_total siem alerts": 7, "muster_destination_missed_rows_total siem alerts": 2,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
