package outputs

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"muster/server/fault"
)

const maxDestinationSettings = 64 << 10 // bytes of JSON

// DestinationKinds lists the kinds of destinations, sorted.
func DestinationKinds() []string { return slices.Sorted(maps.Keys(destinationKinds)) }

// destinationOf decodes settings strictly. Faults: Unprocessable.
func destinationOf(kind string, given map[string]any) (destinationSettings, error) {
	make, found := destinationKinds[kind]
	if !found {
		return nil, fault.New(fault.Unprocessable, "kind is one of %s", strings.Join(DestinationKinds(), ", "))
	}
	text, err := json.Marshal(given)
	if err != nil || len(text) > maxDestinationSettings {
		return nil, fault.New(fault.Unprocessable, "settings is an object of at most %d bytes", maxDestinationSettings)
	}
	s := make()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.New(fault.Unprocessable, "settings of kind %s: %s", kind, settingsReason(err))
	}
	return s, nil
}

// settingsReason says what a decoder did not like, without the value.
func settingsReason(err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return wrong.Field + " has the wrong type: a " + wrong.Value
	}
	if _, name, found := strings.Cut(err.Error(), "unknown field "); found {
		return "there is no setting " + name
	}
	return "they cannot be read"
}

// sealedSettings checks what was given and returns the text that is stored. A secret
// that is as it was shown, or Mask, is the stored one, of settings for the same receiver. Faults:
// Unprocessable.
func (d *Destinations) sealedSettings(kind string, given map[string]any, old destinationSettings) (string, error) {
	s, err := destinationOf(kind, given)
	if err != nil {
		return "", err
	}
	masked := []string{}
	for name, value := range s.secrets() {
		if strings.Contains(*value, Mask) {
			masked = append(masked, name)
		}
	}
	slices.Sort(masked)
	for _, name := range masked {
		if given := *s.secrets()[name]; old == nil || given != Mask && given != shownSecret(name, *old.secrets()[name]) {
			return "", fault.New(fault.Unprocessable, "%s has to be entered", name)
		}
		*s.secrets()[name] = *old.secrets()[name]
	}
	if err := s.check(d.o); err != nil {
		return "", err
	}
	for _, name := range masked {
		if *s.secrets()[name] != "" && s.receiver() != old.receiver() {
			return "", fault.New(fault.Unprocessable, "%s has to be entered again when the receiver or the account changes", name)
		}
	}
	for name, value := range s.secrets() {
		if *value == "" {
			continue
		}
		if *value, err = d.box.Seal(destinationPurpose(kind, name), []byte(*value)); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(s)
	return string(text), err
}

func destinationPurpose(kind, name string) string { return "destination." + kind + "." + name }

// openedSettings reads stored settings, with their secrets. Faults: Unprocessable when
// they were sealed with another encryption key.
func (d *Destinations) openedSettings(kind, stored string) (destinationSettings, error) {
	s, err := storedSettings(kind, stored)
	if err != nil {
		return nil, err
	}
	for name, value := range s.secrets() {
		if *value == "" {
			continue
		}
		plain, err := d.box.Open(destinationPurpose(kind, name), *value)
		if err != nil {
			return nil, err
		}
		*value = string(plain)
	}
	return s, nil
}

// storedSettings reads stored settings, with their secrets sealed.
func storedSettings(kind, stored string) (destinationSettings, error) {
	make, found := destinationKinds[kind]
	if !found {
		return nil, fault.New(fault.Unprocessable, "This version has no destinations of kind %s", kind)
	}
	s := make()
	if err := json.Unmarshal([]byte(stored), s); err != nil {
		return nil, fault.Wrap(err, fault.Internal, "The settings of a destination cannot be read")
	}
	return s, nil
}

// shownSecret is what stands in the place of a secret. Of an URL it is known where it
// leads: many have a token behind that.
func shownSecret(name, value string) string {
	switch {
	case value == "":
		return ""
	case name == "url":
		return shownURL(value)
	}
	return Mask
}

// shownSettings are stored settings fit to be shown.
func (d *Destinations) shownSettings(kind, stored string) map[string]any {
	s, err := d.openedSettings(kind, stored)
	if err != nil { // they were sealed with another key: nothing but masks
		if s, err = storedSettings(kind, stored); err != nil {
			return map[string]any{}
		}
	}
	for name, value := range s.secrets() {
		*value = shownSecret(name, *value)
	}
	shown := map[string]any{}
	text, err := json.Marshal(s)
	if err == nil {
		_ = json.Unmarshal(text, &shown) // what was marshalled from a struct is an object
	}
	return shown
}

// withoutSecrets is a text to be shown and stored, whatever a library put into it.
func withoutSecrets(text string, s destinationSettings) string {
	for _, value := range s.secrets() {
		if *value != "" {
			text = strings.ReplaceAll(text, *value, Mask)
		}
	}
	const most = 500
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "")
	}
	return text
}
