package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Entry is one key of the configuration.
type Entry struct {
	Key, Help string // Key is the path in the file: "compute.accel"
	value     reflect.Value
}

// Variable is the environment variable of the key.
func (e Entry) Variable() string {
	return "HEARTH_" + strings.ToUpper(strings.ReplaceAll(e.Key, ".", "_"))
}

// String is the value in effect.
func (e Entry) String() string {
	if v, ok := e.value.Interface().(Backends); ok && len(v) == 0 {
		return ""
	}
	return fmt.Sprint(e.value.Interface())
}

// Set gives the key a value, in the text that the file would have.
func (e Entry) Set(text string) error {
	var err error
	switch v := e.value.Addr().Interface().(type) {
	case *string:
		*v = text
	case *int:
		*v, err = strconv.Atoi(text)
	case *float64:
		*v, err = strconv.ParseFloat(text, 64)
	case *bool:
		*v, err = strconv.ParseBool(text)
	case *Backends:
		err = v.Parse(text)
	case *time.Duration:
		*v, err = time.ParseDuration(text)
	}
	if err != nil {
		return fmt.Errorf("%s is %q: %w", e.Key, text, err)
	}
	return nil
}

// Type names the value's type, for flags.
func (e Entry) Type() string { return e.value.Type().Name() }

// Entries lists every key of c, in the order of the file. Setting one sets c.
func (c *Config) Entries() []Entry { return entries("", reflect.ValueOf(c).Elem()) }

func entries(prefix string, v reflect.Value) (all []Entry) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key := prefix + field.Tag.Get("yaml")
		if field.Type.Kind() == reflect.Struct {
			all = append(all, entries(key+".", v.Field(i))...)
			continue
		}
		all = append(all, Entry{Key: key, Help: field.Tag.Get("help"), value: v.Field(i)})
	}
	return all
}

// ReadEnv lays HEARTH_* variables over c, looked up by get. HEARTH_FAILPOINT
// and those of other programs are no keys.
func (c *Config) ReadEnv(get func(string) (string, bool)) error {
	for _, e := range c.Entries() {
		if text, ok := get(e.Variable()); ok {
			if err := e.Set(text); err != nil {
				return fmt.Errorf("%s: %w", e.Variable(), err)
			}
		}
	}
	return nil
}
