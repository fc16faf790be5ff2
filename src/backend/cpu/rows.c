/* Row operations that every variant shares: they move memory, or are rare. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"

void move_row(const struct move *m, size_t i)
{
	float *row = m->y + (m->y_rows ? m->y_rows[i] : i) * m->ldy;
	const float *from = m->x + (m->x_rows ? m->x_rows[i] : i) * m->ldx;
	const float weight = m->weights ? m->weights[i] : 1;
	for (uint32_t h = 0; h < m->heads; h++) {
		float *y = row + head_offset(&m->y_map, h, m->dim);
		const float *x = from + head_offset(&m->x_map, h, m->dim);
		if (m->add)
			for (uint32_t j = 0; j < m->dim; j++)
				y[j] += weight * x[j];
		else if (m->weights)
			for (uint32_t j = 0; j < m->dim; j++)
				y[j] = weight * x[j];
		else
			memcpy(y, x, m->dim * sizeof(*y));
	}
}

void glu_row(const struct glu *g, size_t i)
{
	float *y = g->y + i * g->ld;
	const float *gate = g->gate + i * g->ld, *up = g->up + i * g->ld;
	for (uint32_t j = 0; j < g->d; j++) { /* y[j] lies at or before what is read for it */
		float a = gate[(size_t)j * g->step], u = up[(size_t)j * g->step];
		a = a > g->limit ? g->limit : a;
		u = u > g->limit ? g->limit : u < -g->limit ? -g->limit : u;
		y[j] = (u + 1) * (a / (1 + expf(-g->alpha * a)));
	}
}
