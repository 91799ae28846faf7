package osquery

import "math"

// mathFunctions are those of osquery and of SQLite's math extension, which the
// driver's build leaves out. log of one argument is osquery's: the natural one.
func mathFunctions() []function {
	functions := []function{
		{name: "pi", call: func([]any) (any, error) { return math.Pi, nil }},
		{name: "ceil", min: 1, max: 1, call: rounded(math.Ceil)},
		{name: "ceiling", min: 1, max: 1, call: rounded(math.Ceil)},
		{name: "floor", min: 1, max: 1, call: rounded(math.Floor)},
		{name: "trunc", min: 1, max: 1, call: rounded(math.Trunc)},
		{name: "power", min: 2, max: 2, call: onTwo(math.Pow)},
		{name: "pow", min: 2, max: 2, call: onTwo(math.Pow)},
		{name: "mod", min: 2, max: 2, call: onTwo(math.Mod)},
		{name: "atan2", min: 2, max: 2, call: onTwo(math.Atan2)},
		{name: "log", min: 2, max: 2, call: onTwo(func(base, x float64) float64 { return math.Log(x) / math.Log(base) })},
	}
	for name, f := range map[string]func(float64) float64{
		"sqrt": math.Sqrt, "exp": math.Exp, "ln": math.Log, "log": math.Log, "log10": math.Log10, "log2": math.Log2,
		"sin": math.Sin, "cos": math.Cos, "tan": math.Tan, "asin": math.Asin, "acos": math.Acos, "atan": math.Atan,
		"sinh": math.Sinh, "cosh": math.Cosh, "tanh": math.Tanh, "asinh": math.Asinh, "acosh": math.Acosh, "atanh": math.Atanh,
		"cot":     func(x float64) float64 { return 1 / math.Tan(x) },
		"degrees": func(x float64) float64 { return x * 180 / math.Pi },
		"radians": func(x float64) float64 { return x * math.Pi / 180 },
	} {
		functions = append(functions, function{name: name, min: 1, max: 1, call: onOne(f)})
	}
	return functions
}

func onOne(f func(float64) float64) func([]any) (any, error) {
	return func(args []any) (any, error) {
		x, ok := number(args[0])
		if !ok {
			return nil, nil
		}
		return finite(f(x)), nil
	}
}

func onTwo(f func(a, b float64) float64) func([]any) (any, error) {
	return func(args []any) (any, error) {
		a, ok := number(args[0])
		b, known := number(args[1])
		if !ok || !known {
			return nil, nil
		}
		return finite(f(a, b)), nil
	}
}

// rounded answers an integer, as osquery's ceil and floor do.
func rounded(f func(float64) float64) func([]any) (any, error) {
	return func(args []any) (any, error) {
		if whole, ok := args[0].(int64); ok {
			return whole, nil
		}
		x, ok := number(args[0])
		if !ok {
			return nil, nil
		}
		if x = f(x); math.Abs(x) < math.MaxInt64 {
			return int64(x), nil
		}
		return x, nil
	}
}

func finite(x float64) any {
	if math.IsNaN(x) {
		return nil
	}
	return x
}
