package nova

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestServersAreAppendedAsEncodingJSONSaysThem fills servers at random, every
// member of every type, and compares what is appended with encoding/json's. A
// member that serverView gets and server_append.go does not, fails it.
func TestServersAreAppendedAsEncodingJSONSaysThem(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		list := &serverList{Servers: []*serverView{}}
		for range random.IntN(3) {
			v := new(serverView)
			fillAtRandom(random, reflect.ValueOf(v).Elem())
			v.Image, v.Flavor = refAtRandom(random), refAtRandom(random)
			list.Servers = append(list.Servers, v)
		}
		fillAtRandom(random, reflect.ValueOf(&list.Links).Elem())
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(list); err != nil {
			t.Fatal(err)
		}
		if got := string(list.AppendJSON(nil)) + "\n"; got != want.String() {
			t.Fatalf("appended\n%s, encoding/json says\n%s", got, want.String())
		}
	}
}

// refAtRandom is what an image or a flavor may be.
func refAtRandom(random *rand.Rand) any {
	switch random.IntN(3) {
	case 0:
		return ""
	case 1:
		v := refView{Links: []link{}}
		fillAtRandom(random, reflect.ValueOf(&v).Elem())
		return v
	}
	v := flavorInside{}
	fillAtRandom(random, reflect.ValueOf(&v).Elem())
	return v
}

// fillAtRandom gives each part of a value something, or nothing where nothing is
// allowed: nil pointers, slices and maps.
func fillAtRandom(random *rand.Rand, v reflect.Value) {
	texts := []string{"", "plain", `a "quoted" one`, "<&>", "grüße\n"}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() || v.Type().Field(i).Anonymous {
				fillEmbedded(random, v, i)
			}
		}
	case reflect.Pointer:
		if random.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fillAtRandom(random, v.Elem())
		}
	case reflect.Slice:
		if n := random.IntN(4) - 1; n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fillAtRandom(random, v.Index(i))
			}
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range random.IntN(4) {
			e := reflect.New(v.Type().Elem()).Elem()
			if fillAtRandom(random, e); e.Kind() == reflect.Slice && e.IsNil() {
				continue // a network without a list of addresses is not rendered
			}
			v.SetMapIndex(reflect.ValueOf(texts[random.IntN(len(texts))]), e)
		}
	case reflect.String:
		v.SetString(texts[random.IntN(len(texts))])
	case reflect.Int:
		v.SetInt(random.Int64N(9000) - 20)
	case reflect.Bool:
		v.SetBool(random.IntN(2) == 0)
	}
}

// fillEmbedded fills a field. An embedded pointer of an unexported type cannot be
// set by reflection, so those of a server are set by hand.
func fillEmbedded(random *rand.Rand, v reflect.Value, i int) {
	f := v.Field(i)
	if f.CanSet() {
		fillAtRandom(random, f)
		return
	}
	view, ok := v.Addr().Interface().(*serverView)
	if !ok || random.IntN(3) == 0 {
		return
	}
	switch f.Type() {
	case reflect.TypeFor[*extendedView]():
		view.extendedView = &extendedView{Volumes: []volumeView{}}
		fillAtRandom(random, reflect.ValueOf(view.extendedView).Elem())
		if view.extendedView.Volumes == nil {
			view.extendedView.Volumes = []volumeView{} // as rendered
		}
	case reflect.TypeFor[*adminView]():
		view.adminView = &adminView{}
		fillAtRandom(random, reflect.ValueOf(view.adminView).Elem())
	case reflect.TypeFor[*adminView23]():
		view.adminView23 = &adminView23{}
		fillAtRandom(random, reflect.ValueOf(view.adminView23).Elem())
	}
}
