package recipe

import (
	"reflect"
	"strings"

	"hearth/internal/disk/inspect/words"
)

// fieldsOf lists the YAML words of a struct of this package by its name.
func fieldsOf(goType string) (list []string) {
	for _, v := range []any{Recipe{}, Base{}, Packages{}, Kernel{}, User{}, Services{}, Boot{}, Overlay{}, Script{}, Disk{}} {
		t := reflect.TypeOf(v)
		if t.Name() != goType {
			continue
		}
		for i := range t.NumField() {
			if tag := t.Field(i).Tag.Get("yaml"); tag != "" && tag != "-" {
				list = append(list, tag)
			}
		}
	}
	return list
}

// didYouMean proposes the word that differs least, or lists all.
func didYouMean(word string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := words.Distance(word, k, least); d < least {
			best, least = k, d
		}
	}
	switch {
	case best != "":
		return "; did you mean " + best + "?"
	case len(known) == 0:
		return ""
	}
	return "; there are " + strings.Join(known, ", ")
}
