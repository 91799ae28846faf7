package sigma_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/server/sigma"
)

// The table narrow has A alone, wide has A, B and C; no table has D.
func TestFieldsThatATableLacks(t *testing.T) {
	const leftOut = ": alternatives and exceptions that ask for it were left out"
	for _, test := range []struct {
		name, detection string
		tables          string // that the rule applies to
		reason          string
		warnings        []string
	}{
		{"a field that both have", "  s: {A: x}\n  condition: s\n", "narrow wide", "", nil},
		{"in a selection", "  s: {A: x, B: y}\n  condition: s\n", "wide", "", []string{"not applied: field B is not in table narrow"}},
		{"in a selection everywhere", "  s: {A: x, D: y}\n  condition: s\n", "", "field D is not in table narrow; field D is not in table wide", nil},
		{"two of them", "  s: {B: x, C: y}\n  t: {C: x}\n  condition: s or t\n", "wide", "", []string{"not applied: field B is not in table narrow, field C is not in table narrow"}},
		{"in an alternative", "  s:\n  - A: x\n  - B: y\n  condition: s\n", "narrow wide", "", []string{"field B is not in table narrow" + leftOut}},
		{"in an exception", "  s: {A: x}\n  f: {B: y}\n  condition: s and not f\n", "narrow wide", "", []string{"field B is not in table narrow" + leftOut}},
		{"beside another in an exception", "  s: {A: x}\n  f: {A: xy, B: y}\n  condition: s and not f\n", "narrow wide", "", []string{"field B is not in table narrow" + leftOut}},
		{"in one of the exceptions", "  s: {A: x}\n  f1: {A: xy}\n  f2: {B: y}\n  condition: s and not 1 of f*\n", "narrow wide", "", []string{"field B is not in table narrow" + leftOut}},
		{"that has to differ", "  s: {A: x, 'B|neq': y}\n  condition: s\n", "wide", "", []string{"not applied: field B is not in table narrow"}},
		{"that has to be null", "  s: {A: x, B: null}\n  condition: s\n", "wide", "", []string{"not applied: field B is not in table narrow"}},
		{"that is null in an exception", "  s: {A: x}\n  f: {B: null}\n  condition: s and not f\n", "narrow wide", "", []string{"field B is not in table narrow" + leftOut}},
		{"that a field is compared with", "  s: {'A|fieldref': B}\n  condition: s\n", "wide", "", []string{"not applied: field B is not in table narrow"}},
		{"nothing but an exception", "  f: {B: y}\n  condition: not f\n", "wide", "", []string{"not applied: it would match everything (field B is not in table narrow)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := one(t, rule("two", test.detection), labMapping(t))
			var tables []string
			for _, v := range r.Rule.Variants {
				tables = append(tables, v.Tables...)
			}
			if got := strings.Join(tables, " "); got != test.tables || r.Reason != test.reason {
				t.Errorf("applies to %q, %q", got, r.Reason)
			}
			if diff := cmp.Diff(test.warnings, r.Warnings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatRemainsOfARuleIsSound(t *testing.T) {
	r := one(t, rule("two", "  s:\n  - A: x\n  - B: y\n  f1: {A: xy, B: y}\n  f2: {A: q}\n  condition: (s or f2) and not f1\n"), labMapping(t))
	if len(r.Rule.Variants) != 2 {
		t.Fatal(r.Reason)
	}
	narrow := r.Rule.Variants[0].Conditions
	for row, want := range map[string]bool{`{"a":"x"}`: true, `{"a":"q"}`: true, `{"a":"z"}`: false, `{"b":"y"}`: false} {
		if matches(t, narrow, row) != want {
			t.Errorf("%s: %v", row, !want)
		}
	}
	wide := r.Rule.Variants[1].Conditions
	for row, want := range map[string]bool{`{"kind":"w","a":"x"}`: true, `{"kind":"w","a":"xy","b":"y"}`: false, `{"kind":"w","b":"y"}`: true, `{"a":"x"}`: false} {
		if matches(t, wide, row) != want {
			t.Errorf("%s: %v", row, !want)
		}
	}
}

func TestAConstantThatDoesNotFit(t *testing.T) {
	r := one(t, search(`A: x`, `Kind: [RenameKey, DeleteKey]`), labMapping(t))
	if r.Outcome != sigma.NotApplicable || r.Reason != "Kind is always SetValue in table all" {
		t.Errorf("%s %q", r.Outcome, r.Reason)
	}
	v := variant(t, one(t, rule("test", "  s: {A: x}\n  f: {Kind: RenameKey}\n  condition: s and not f\n"), labMapping(t)))
	if !matches(t, v.Conditions, `{"a":"x"}`) {
		t.Error("an exception that never holds spares something")
	}
}

func TestARuleTellsItsOrigin(t *testing.T) {
	r := one(t, `
title: A test
id: 929a690e-bef0-4204-a928-ef5e620d6fcc
status: Experimental
description: |
  What it finds.
author: Somebody, somebody else
date: 2024-01-02
references: https://example.org/a
tags:
  - attack.execution
  - attack.T1059.001
  - attack.t1059.001
  - attack.defense_evasion
  - attack.stealth
  - attack.defense-impairment
  - attack.t9999
  - attack.g0016
  - attack.s0002
  - cve.2024-1234
falsepositives: [Administrators, 'Unknown ']
level: HIGH
logsource: {category: Test, definition: whatever}
detection:
  s: {A: x}
  condition: s
custom: {any: [thing]}
`, labMapping(t))
	if len(r.Rule.Variants) != 1 || !slices.Equal(r.Rule.Variants[0].Tables, []string{"all"}) || !slices.Equal(r.Rule.Variants[0].Platforms, []string{"linux"}) {
		t.Errorf("%+v", r)
	}
	r.Rule.Variants = nil
	want := sigma.Rule{
		Title: "A test", ID: "929a690e-bef0-4204-a928-ef5e620d6fcc", Status: "experimental", Level: "high", Description: "What it finds.",
		Author: "Somebody, somebody else", References: []string{"https://example.org/a"}, FalsePositives: []string{"Administrators", "Unknown"},
		Tags: []string{"attack.execution", "attack.T1059.001", "attack.t1059.001", "attack.defense_evasion", "attack.stealth",
			"attack.defense-impairment", "attack.t9999", "attack.g0016", "attack.s0002", "cve.2024-1234"},
		Techniques: []string{"T1059.001", "T9999"}, Tactics: []string{"execution", "defense-evasion", "stealth", "defense-impairment"},
		LogSource: sigma.LogSource{Category: "test"},
	}
	if diff := cmp.Diff(want, r.Rule); diff != "" {
		t.Error(diff)
	}
}
