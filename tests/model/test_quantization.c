/* model/quantization: MXFP4 as gpt-oss publishes it, and the extents of scales. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "model/quantization.h"

/* Two experts of [3, 64]: codes of byte i are i * 7 + 3, exponents 120 + i. */
enum { EXPERTS = 2, ROWS = 3, COLS = 64, BLOCKS = EXPERTS * ROWS * COLS / 2, SCALES = EXPERTS * ROWS * COLS / 32 };

static uint8_t code_byte(int i)
{
	return (uint8_t)(i * 7 + 3);
}

static void write_file(const char *path, const char *header, int n, uint8_t (*byte)(int i))
{
	FILE *f = fopen(path, "wb");
	uint64_t len = strlen(header);
	assert_non_null(f);
	fwrite(&len, 8, 1, f);
	fwrite(header, 1, len, f);
	for (int i = 0; i < n; i++)
		fputc(byte(i), f);
	fclose(f);
}

static uint8_t mxfp4_byte(int i)
{
	return i < BLOCKS ? code_byte(i) : (uint8_t)(120 + i - BLOCKS);
}

static const char path[] = "quantization-test.safetensors";

static struct checkpoint *mxfp4_file(void)
{
	struct checkpoint *c;
	struct err e = ERR_INIT;
	write_file(path,
		"{\"up_blocks\":{\"dtype\":\"U8\",\"shape\":[2,3,2,16],\"data_offsets\":[0,192]},"
		"\"up_scales\":{\"dtype\":\"U8\",\"shape\":[2,3,2],\"data_offsets\":[192,204]}}",
		BLOCKS + SCALES, mxfp4_byte);
	if (checkpoint_open(&c, path, 0, &e) != 0)
		fail_msg("%s", e.msg);
	return c;
}

/* The published formula: levels of E2M1, low nibble first, times 2^(exponent - 127). */
static float expected(int expert, int row, int col)
{
	static const float levels[] = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};
	int at = (expert * ROWS + row) * COLS + col;
	float f = levels[code_byte(at / 2) >> (at & 1 ? 4 : 0) & 15];
	for (int e = 120 + at / 32; e < 127; e++)
		f /= 2;
	for (int e = 127; e < 120 + at / 32; e++)
		f *= 2;
	return f;
}

static void mxfp4_is_read(void **state)
{
	(void)state;
	struct checkpoint *c = mxfp4_file();
	struct quantization *q;
	struct stored s;
	struct err e = ERR_INIT;
	assert_int_equal(quantization_open(&q, c, NULL, "", &e), 0);
	assert_int_equal(stored_find(&s, q, "up", &e), 0);
	assert_non_null(s.tensor);
	assert_true(s.flipped);
	assert_int_equal(s.n_dims, 3);
	assert_int_equal(s.shape[0], EXPERTS);
	assert_int_equal(s.shape[1], ROWS);
	assert_int_equal(s.shape[2], COLS);
	for (int expert = 0; expert < EXPERTS; expert++) {
		struct weight w = {.role = ROLE_UP, .rows = ROWS, .cols = COLS};
		uint8_t bytes[ROWS * COLS / 2], scale_bytes_[ROWS * COLS / 32];
		uint64_t first;
		float got[COLS];
		assert_int_equal(weight_from_stored(&w, c, &s, (uint64_t)expert * w.rows, &e), 0);
		assert_true(w.has_scaling && w.scales_streamed);
		const struct extent x = weight_scales(&w, 0, ROWS, &first);
		assert_int_equal(x.bytes, sizeof(scale_bytes_));
		assert_int_equal(first, 0);
		FILE *f = fopen(path, "rb");
		fseek(f, (long)w.offset, SEEK_SET);
		assert_int_equal(fread(bytes, 1, sizeof(bytes), f), sizeof(bytes));
		fseek(f, (long)x.offset, SEEK_SET);
		assert_int_equal(fread(scale_bytes_, 1, sizeof(scale_bytes_), f), sizeof(scale_bytes_));
		fclose(f);
		const struct scales scales = {.how = &w.scaling, .p = scale_bytes_};
		for (int r = 0; r < ROWS; r++) {
			decode_scaled(w.dtype, &scales, bytes + r * COLS / 2, (uint64_t)r, 0, COLS, got, COLS);
			for (int k = 0; k < COLS; k++)
				assert_true(got[k] == expected(expert, r, k));
		}
	}
	struct weight w = {.role = ROLE_UP, .rows = ROWS, .cols = COLS};
	assert_int_equal(weight_from_stored(&w, c, &s, EXPERTS * w.rows, &e), -1);
	assert_non_null(strstr(e.msg, "up_blocks"));
	quantization_close(q);
	checkpoint_close(c);
}

/* Every cut into chunks: each row's scales lie in its chunk's extent, where scale_index says. */
static void extents_hold_every_scale(void **state)
{
	(void)state;
	static const struct {
		uint32_t rows, cols, flat, group_rows, group_cols;
	} cases[] = {{96, 96, 64, 0, 0}, {7, 100, 64, 0, 0}, {5, 64, 4096, 0, 0}, {33, 160, 0, 8, 32},
		{10, 48, 0, 1, 48}, {10, 48, 0, 10, 48}, {130, 192, 0, 128, 128}};
	struct tensor scale = {.file = 3, .offset = 1000};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct weight w = {.rows = cases[i].rows, .cols = cases[i].cols, .has_scaling = true,
			.scales_streamed = true, .scale = &scale, .scale_offset = 1000,
			.scaling = {.kind = SCALE_BF16, .flat = cases[i].flat, .group_rows = cases[i].group_rows,
				.group_cols = cases[i].group_cols}};
		uint32_t step = weight_row_step(&w);
		assert_true(step >= 1 && step <= w.rows);
		for (uint64_t row = 0; row < w.rows; row += step) {
			uint64_t n = w.rows - row < step ? w.rows - row : step, first;
			const struct extent x = weight_scales(&w, row, n, &first);
			assert_int_equal(x.file, 3);
			assert_int_equal(x.offset, 1000 + 2 * first);
			for (uint64_t r = row; r < row + n; r++)
				for (uint64_t k = 0; k < w.cols; k++) {
					uint64_t at = scale_index(&w.scaling, r, k, w.cols);
					assert_true(at >= first && 2 * (at - first) < x.bytes);
				}
			if (w.scaling.flat && step < w.rows) /* a chunk begins with a scale */
				assert_int_equal(row * w.cols % w.scaling.flat, 0);
		}
	}
}

/* Slices of one matrix, as latent attention's heads are, and of stacks: each finds its own scales. */
static void slices_find_their_scales(void **state)
{
	(void)state;
	static const struct {
		uint64_t grid_rows, total_rows;
		uint32_t group_rows, rows, flat, nested;
		bool ok;
	} cases[] = {{64, 64, 1, 8, 0, 0, true}, {64, 64, 16, 8, 0, 0, true}, {64, 64, 16, 32, 0, 0, true},
		{64, 64, 64, 8, 0, 0, true}, {64, 64, 16, 24, 0, 0, false}, {8, 64, 3, 8, 0, 0, true},
		{8, 64, 8, 8, 0, 0, true}, {0, 64, 0, 8, 64, 0, true}, {0, 64, 0, 8, 96, 0, false},
		{0, 64, 0, 8, 64, 4, true}, {0, 64, 0, 8, 64, 3, false}};
	const uint32_t cols = 32;
	struct checkpoint_file file = {.path = (char *)(uintptr_t)"file"};
	const struct checkpoint c = {.files = &file, .n_files = 1};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct tensor t = {.name = "t", .bytes = 64 * cols}, scale = {.name = "s", .bytes = 4 * 64 * cols};
		const struct stored s = {.tensor = &t, .dtype = DTYPE_F8_E4M3, .scale = &scale,
			.nested = cases[i].nested ? &scale : NULL, .grid_rows = cases[i].grid_rows,
			.scaling = {.flat = cases[i].flat, .group_rows = cases[i].group_rows, .group_cols = 16,
				.nested_group = cases[i].nested}};
		const uint64_t n = cases[i].total_rows / cases[i].rows;
		bool ok = true;
		for (uint64_t k = 0; k < n; k++) {
			struct err e = ERR_INIT;
			struct weight w = {.role = ROLE_UP, .rows = cases[i].rows, .cols = cols};
			if (weight_from_stored(&w, &c, &s, k * w.rows, &e) < 0) {
				assert_non_null(strstr(e.msg, "across"));
				ok = false;
				continue;
			}
			for (uint64_t r = 0; r < w.rows; r++)
				for (uint64_t col = 0; col < cols; col++) {
					uint64_t row = k * w.rows + r, grid = s.grid_rows ? row / s.grid_rows : 0;
					uint64_t per_grid = s.grid_rows ? (s.grid_rows + s.scaling.group_rows - 1) /
								s.scaling.group_rows * 2 : 0;
					uint64_t want = s.scaling.flat ? (row * cols + col) / s.scaling.flat
								       : grid * per_grid + row % s.grid_rows /
									s.scaling.group_rows * 2 + col / 16;
					uint64_t index = scale_index(&w.scaling, r, col, cols);
					assert_int_equal(w.scale_offset / 4 + index, want);
					if (s.nested)
						assert_int_equal(w.nested_first + index / w.scaling.nested_group,
							want / s.scaling.nested_group);
				}
		}
		assert_int_equal(ok, cases[i].ok);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(slices_find_their_scales),
		cmocka_unit_test(mxfp4_is_read),
		cmocka_unit_test(extents_hold_every_scale),
	};
	const char *tmp = getenv("TMPDIR");
	char dir[] = "quantization-XXXXXX";
	if (chdir(tmp && *tmp ? tmp : P_tmpdir) != 0 || !mkdtemp(dir) || chdir(dir) != 0)
		return 1;
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return chdir("..") == 0 && rmdir(dir) == 0 ? rc : 1;
}
