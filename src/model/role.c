#include "model/role.h"

bool role_is_streamed(enum role role)
{
	switch (role) {
	case ROLE_PROJ_IN:
	case ROLE_QKV:
	case ROLE_Q:
	case ROLE_K:
	case ROLE_V:
	case ROLE_O:
	case ROLE_GATE_UP:
	case ROLE_GATE:
	case ROLE_UP:
	case ROLE_DOWN:
	case ROLE_PROJ_OUT:
	case ROLE_HEAD:
	case ROLE_Q_A:
	case ROLE_Q_B:
	case ROLE_KV_A:
	case ROLE_K_B:
	case ROLE_V_B:
	case ROLE_ROUTER:
	case ROLE_SHARED_GATE_UP:
	case ROLE_SHARED_GATE:
	case ROLE_SHARED_UP:
	case ROLE_SHARED_DOWN:
		return true;
	default:
		return role_is_expert(role);
	}
}

bool role_is_expert(enum role role)
{
	return (role >= ROLE_EXPERT_GATE_UP && role <= ROLE_EXPERT_DOWN) ||
		(role >= ROLE_EXPERT_GATE_UP_BIAS && role <= ROLE_EXPERT_DOWN_BIAS);
}

bool role_is_gathered(enum role role)
{
	return role == ROLE_EMBED || role == ROLE_POS_EMBED;
}

bool role_is_global(enum role role)
{
	switch (role) {
	case ROLE_EMBED:
	case ROLE_POS_EMBED:
	case ROLE_PROJ_IN:
	case ROLE_EMBED_NORM:
	case ROLE_EMBED_NORM_BIAS:
	case ROLE_OUT_NORM:
	case ROLE_OUT_NORM_BIAS:
	case ROLE_PROJ_OUT:
	case ROLE_HEAD:
	case ROLE_HEAD_BIAS:
	case ROLE_ROPE_FACTORS:
	case ROLE_ROPE_SHORT:
	case ROLE_ROPE_LONG:
		return true;
	default:
		return false;
	}
}

bool role_is_optional(enum role role)
{
	return role >= ROLE_EMBED_NORM;
}

enum role role_bias(enum role role)
{
	static const enum role of[ROLES] = {
		[ROLE_EMBED_NORM] = ROLE_EMBED_NORM_BIAS,
		[ROLE_ATTN_NORM] = ROLE_ATTN_NORM_BIAS,
		[ROLE_QKV] = ROLE_QKV_BIAS,
		[ROLE_Q] = ROLE_Q_BIAS,
		[ROLE_K] = ROLE_K_BIAS,
		[ROLE_V] = ROLE_V_BIAS,
		[ROLE_Q_A] = ROLE_Q_A_BIAS,
		[ROLE_KV_A] = ROLE_KV_A_BIAS,
		[ROLE_O] = ROLE_O_BIAS,
		[ROLE_FFN_NORM] = ROLE_FFN_NORM_BIAS,
		[ROLE_GATE_UP] = ROLE_GATE_UP_BIAS,
		[ROLE_GATE] = ROLE_GATE_BIAS,
		[ROLE_UP] = ROLE_UP_BIAS,
		[ROLE_DOWN] = ROLE_DOWN_BIAS,
		[ROLE_OUT_NORM] = ROLE_OUT_NORM_BIAS,
		[ROLE_HEAD] = ROLE_HEAD_BIAS,
		[ROLE_Q_NORM] = ROLE_Q_NORM_BIAS,
		[ROLE_K_NORM] = ROLE_K_NORM_BIAS,
		[ROLE_ROUTER] = ROLE_ROUTER_BIAS,
		[ROLE_EXPERT_GATE_UP] = ROLE_EXPERT_GATE_UP_BIAS,
		[ROLE_EXPERT_GATE] = ROLE_EXPERT_GATE_BIAS,
		[ROLE_EXPERT_UP] = ROLE_EXPERT_UP_BIAS,
		[ROLE_EXPERT_DOWN] = ROLE_EXPERT_DOWN_BIAS,
	};
	return of[role] ? of[role] : ROLES; /* ROLE_EMBED, number 0, is no bias */
}
